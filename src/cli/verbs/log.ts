import type { LogRow } from '../../daemon/protocol/history.js';
import { commitLines } from '../../daemon/texts.js';
import { ask } from '../ask.js';
import type { Command, Input } from '../command.js';
import { UsageError } from '../command.js';
import { shortId } from '../../util/format.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { refPlaceOf } from '../places.js';
import type { Terminal } from '../terminal.js';
import { timeOf } from '../times.js';

const log: Command = {
  name: 'log',
  summary: 'List the commits that led to a ref, newest first',
  positionals: [
    { name: 'REF', what: 'repository/ref, as drive/main or drive/golden~3' },
    {
      name: 'PATH',
      what: 'only commits that changed something at or below it, from the root; may be several',
      optional: true,
      many: true,
    },
  ],
  options: {
    ...PAGE_OPTIONS('commits', 'COMMIT'),
    oneline: { what: 'one line a commit: its id and the first line of its message' },
    graph: { what: 'draw beside them how the lines of history run' },
    author: { value: 'TEXT', what: 'whose author has this in it, whatever the case' },
    grep: { value: 'TEXT', what: 'whose message has this in it, whatever the case' },
    since: { value: 'TIME', what: "not before: '2025-06-14', '2025-06-14 17:30', '2 days ago'" },
    until: {
      value: 'TIME',
      what: 'not after; a day alone is its first moment; UTC without a zone',
    },
    meta: {
      value: 'KEY[=VALUE]',
      many: true,
      what: 'with that metadata, as calibration=v7, or any value of the key; may be repeated',
    },
    'first-parent': { what: 'follow only first parents: the branch as it grew' },
    merges: { what: 'only merges' },
    'no-merges': { what: 'no merges' },
  },
  notes: [
    'Several conditions must all be met. Of a merge, a path counts as changed when it differs from what every parent has: what came in by one of them is shown where it was made. Commits on lines that were merged are shown too. Nothing is listed to find out: shared parts of the trees are compared.',
    'Dates of commits may lie: a search with --since ends when 1,000 commits in a row are older.',
  ],
  examples: [
    { command: 'tarn log drive/main --limit 10 --graph --oneline', what: 'the last ten, drawn' },
    {
      command: 'tarn log drive/main labels/ --limit 3',
      what: 'the last three that changed labels',
    },
    {
      command: "tarn log drive/main --meta calibration=v7 --since '2025-06-14 Europe/Berlin'",
      what: 'made with that calibration since that day began in Berlin',
    },
    {
      command: 'tarn log drive/prod-2025-08-15 raw/2025-06-14/run-8421 --json',
      what: 'what made the run what it is in the tag, one JSON object a commit',
    },
  ],
  async run(input, context) {
    const { terminal } = context;
    const [ref = '', ...paths] = input.positionals;
    const oneline = input.flag('oneline');
    const args = {
      ...refPlaceOf(ref),
      ...pageOf(input),
      ...conditionsOf(input),
      paths,
      graph: input.flag('graph'),
    };
    let shown = 0;
    await ask(context, 'log', args, {
      onRow: (row) => {
        shown += 1;
        return terminal.row(row, () => drawn(row, textOf(row, oneline, terminal)));
      },
    });
    if (shown === 0) terminal.note('no commit is like that');
  },
};

function conditionsOf(input: Input) {
  const nowMs = Date.now();
  const [author, grep] = [input.value('author'), input.value('grep')];
  const [sinceMs, untilMs] = [timeOf(input, 'since', nowMs), timeOf(input, 'until', nowMs)];
  const [isOnly, isNone] = [input.flag('merges'), input.flag('no-merges')];
  if (isOnly && isNone) throw new UsageError('--merges and --no-merges leave no commit');
  const metadata = input.values('meta');
  if (metadata.some((each) => each === '' || each.startsWith('='))) {
    throw new UsageError('--meta has no key', 'write --meta KEY or --meta KEY=VALUE');
  }
  return {
    metadata,
    firstParent: input.flag('first-parent'),
    ...(author === undefined ? {} : { author }),
    ...(grep === undefined ? {} : { grep }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
    ...(isOnly ? { merges: 'only' as const } : {}),
    ...(isNone ? { merges: 'none' as const } : {}),
  };
}

function textOf(row: LogRow, oneline: boolean, terminal: Terminal): string[] {
  if (!oneline) return commitLines(row, (text) => terminal.text(text));
  const [subject = ''] = row.message.trimEnd().split('\n');
  return [terminal.text(`${shortId(row.commit)} ${subject}`)];
}

/** The lines of text, each behind its part of the drawing where there is one. */
function drawn({ graph }: LogRow, text: readonly string[]): string {
  if (graph === undefined) return text.join('\n');
  const { above, at, edge, below } = graph;
  const beside = [at, ...(edge === '' ? [] : [edge])];
  while (beside.length < text.length) beside.push(below);
  const width = Math.max(...beside.map(({ length }) => length));
  const lines = beside.map((part, index) => `${part.padEnd(width)} ${text[index] ?? ''}`.trimEnd());
  return [...above, ...lines].join('\n');
}

export const commands: readonly Command[] = [log];
