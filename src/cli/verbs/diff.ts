import type { DiffResult, DiffRow, DiffStatRow } from '../../daemon/protocol/history.js';
import { parseBranchName } from '../../model/refs.js';
import { ask } from '../ask.js';
import type { Command, CommandContext, Input } from '../command.js';
import { UsageError } from '../command.js';
import { bytesText, countsText, humanBytes, shortId } from '../../util/format.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { wholeNumber } from '../parse.js';
import { refIn, refPlaceOf } from '../places.js';
import type { Terminal } from '../terminal.js';

const MARKS = {
  added: 'A',
  removed: 'D',
  changed: 'M',
  'type-changed': 'T',
  'metadata-changed': 'P',
  renamed: 'R',
} as const;

const DEPTH_DEFAULT = 1;

const diff: Command = {
  name: 'diff',
  summary: 'List what differs between two moments, or what is staged on a branch',
  positionals: [
    {
      name: 'REF',
      what: 'repository/ref, as drive/main~1; two in one as drive/A..B, or drive/A...B for what came to B since both parted; a branch alone for what is staged on it',
    },
    { name: 'REF2', what: 'the later one, where REF does not name both', optional: true },
    {
      name: 'PATH',
      what: 'only what lies at or below it, from the root; may be several',
      optional: true,
      many: true,
    },
  ],
  options: {
    path: { value: 'PATH', many: true, what: 'as PATH; may be repeated' },
    stat: { what: 'totals by folder instead of paths' },
    depth: { value: 'N', what: `with --stat: levels of folders, ${DEPTH_DEFAULT} without it` },
    'name-only': { what: 'only the paths' },
    'no-renames': { what: 'a renamed file as removed here and added there' },
    ...PAGE_OPTIONS('lines', 'PATH'),
  },
  notes: [
    'A is added, D removed, M changed, T a file that became a symlink or the reverse, P other permissions, time or metadata with the same bytes, R renamed; then the size before and after. A branch means its last commit, except alone.',
    'A renamed file is a removed and an added one with exactly the same bytes, not empty, within the paths asked for. Of several the nearest goes together: the same file name first, then most folders in common. To find them, all from the first added or removed file on is held until the end. Where that is more than 100,000 lines, files are shown as removed and added instead, and it says so. With --no-renames each line comes as it is found.',
  ],
  examples: [
    { command: 'tarn diff drive/main~1 main labels/', what: 'what the last commit did to labels' },
    {
      command: 'tarn diff drive/main...incident-2025-06-14-8421-glare --stat --depth 2',
      what: 'what the branch changed since it left main, by folder',
    },
    { command: 'tarn diff drive/prod-2025-08-15..main --name-only', what: 'only the paths' },
    { command: 'tarn diff drive/main --path labels/', what: 'what is staged below labels' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const args = argumentsOf(input);
    const namesOnly = input.flag('name-only');
    if (input.flag('stat')) {
      if (namesOnly) {
        throw new UsageError('--stat and --name-only exclude each other', 'choose one of them');
      }
      const depth = wholeNumber(input.value('depth') ?? String(DEPTH_DEFAULT), 'depth');
      const result = await ask(
        context,
        'diff.stat',
        { ...args, depth },
        { onRow: (row) => terminal.row(row, () => statLine(row, terminal)) },
      );
      return end(result, context);
    }
    if (input.value('depth') !== undefined) {
      throw new UsageError('--depth is for --stat', 'add --stat for totals by folder');
    }
    const result = await ask(
      context,
      'diff',
      { ...args, namesOnly },
      {
        onRow: (row) =>
          terminal.row(row, () => (namesOnly ? terminal.name(row.path) : line(row, terminal))),
      },
    );
    return end(result, context);
  },
};

function argumentsOf(input: Input) {
  const [first = '', second, ...rest] = input.positionals;
  const range = rangeOf(first);
  const renames = !input.flag('no-renames');
  const shared = { renames, ...pageOf(input) };
  const given = input.values('path');
  const { repository, ref: from } = refPlaceOf(range?.from ?? first);
  if (range !== undefined) {
    const to = refIn(repository, range.to);
    const paths = [...(second === undefined ? [] : [second]), ...rest, ...given];
    return { ...shared, repository, from, to, sinceParted: range.sinceParted, paths };
  }
  if (second === undefined) {
    const branch = parseStaged(from, repository);
    return { ...shared, repository, from: branch, sinceParted: false, paths: given };
  }
  const to = refIn(repository, second);
  return { ...shared, repository, from, to, sinceParted: false, paths: [...rest, ...given] };
}

/** `A..B` or `A...B`; dots in the braces of a time are the time's. */
function rangeOf(text: string): { from: string; to: string; sinceParted: boolean } | undefined {
  const match = /^((?:\{[^}]*\}|[^{])*?)(\.{2,3})(?!\.)(.*)$/.exec(text);
  if (match === null) return undefined;
  const [, from = '', dots, to = ''] = match;
  if (from === '' || to === '') {
    throw new UsageError(`'${text}' names one ref, not two`, 'write drive/A..B, as drive/v7..main');
  }
  return { from, to, sinceParted: dots === '...' };
}

function parseStaged(ref: string, repository: string): string {
  try {
    return parseBranchName(ref);
  } catch {
    throw new UsageError(
      `'${ref}' is not a branch, so nothing is staged on it`,
      `name what to compare it with, as in 'tarn diff ${repository}/${ref} main'`,
    );
  }
}

function line({ path, change, from, before, after }: DiffRow, terminal: Terminal): string {
  const sizes = [before, after].map((side) =>
    (side === undefined ? '' : humanBytes(side.size)).padStart(10),
  );
  const name = terminal.name(path);
  const named = from === undefined ? name : `${terminal.name(from)} -> ${name}`;
  return `${MARKS[change]} ${sizes.join(' ')}  ${named}`;
}

function statLine({ folder, counts, ...bytes }: DiffStatRow, terminal: Terminal): string {
  const name = folder === '' ? '.' : `${terminal.name(folder)}/`;
  return `${name}  ${countsText(counts)}; ${bytesText(bytes)}`;
}

async function end(result: DiffResult, { terminal }: CommandContext): Promise<void> {
  await terminal.flush();
  const { before, after, counts, renames, more } = result;
  const ends =
    after === undefined ? `staged on ${shortId(before)}` : `${shortId(before)}..${shortId(after)}`;
  terminal.note(`${countsText(counts)} (${ends}); ${bytesText(result)}`);
  if (more) terminal.note('there is more: raise --limit, or go on with --after');
  if (renames === 'too-many') {
    terminal.note(
      'too much differs to look for renames in all of it: name a path to see them there',
    );
  }
}

export const commands: readonly Command[] = [diff];
