import type { CommitRow } from '../../daemon/protocol/terms.js';
import type { Outcome, Verdict } from '../../history/bisect.js';
import { Bisection } from '../../history/bisect.js';
import { ask } from '../ask.js';
import type { Command, CommandContext, Input } from '../command.js';
import { EXIT, UsageError } from '../command.js';
import { plural, shortDate, shortId } from '../../util/format.js';
import type { Judged } from '../judge.js';
import { judgeCommit } from '../judge.js';
import { refIn, refPlaceOf } from '../places.js';

const bisect: Command = {
  name: 'bisect run',
  summary: 'Find the commit that broke something, by a command that judges mounted commits',
  positionals: [
    { name: 'REPO/REF', what: 'the repository, with any ref of it, as drive/main' },
    { name: 'GOOD', what: 'a ref where all was still good' },
    { name: 'BAD', what: 'a later ref that came from it, where it no longer is' },
    {
      name: 'COMMAND',
      what: "what judges, behind '--', with its arguments; {} in them stands for the directory where the commit is mounted",
      many: true,
    },
  ],
  options: {
    'no-mount': { what: "mount nothing: {} stands for the commit's id" },
  },
  notes: [
    'The command is run without a shell, in the current directory, once for each commit to judge: the one that halves what is left, also where history forks. Exit code 0 means good, 1 to 124 bad, 125 that this commit cannot be judged; anything else ends the search.',
    'Each commit is mounted on a temporary directory, and unmounted also when the search is interrupted. GOOD and BAD themselves are taken at their word. Exit code 1 says that commits which could not be judged stand between the last good and the first bad one; all that may be it are named.',
  ],
  examples: [
    {
      command: 'tarn bisect run drive/main prod-2025-08-15 main -- ./replay.sh {}',
      what: 'since when the replay fails',
    },
    {
      command: 'tarn bisect run drive/main main~20 main -- test -e {}/labels/run-8421.json',
      what: 'which commit lost the labels',
    },
    {
      command: 'tarn bisect run drive/main main~20 main --no-mount --json -- ./ci.sh {}',
      what: 'by id, with the steps as JSON',
    },
  ],
  async run(input, context) {
    const { repository, good, bad, command } = argumentsOf(input);
    const candidates: CommitRow[] = [];
    await ask(
      context,
      'bisect.candidates',
      { repository, good, bad },
      { onRow: (row) => void candidates.push(row) },
    );
    const isMounted = !input.flag('no-mount');
    const steps: Step[] = [];
    const bisection = new Bisection(candidates);
    for (let each = bisection.next(); each !== undefined; each = bisection.next()) {
      announce(each, bisection.left, context);
      const judged = await judgeCommit(context, { repository, command, isMounted }, each.commit);
      steps.push({ commit: each.commit, ...judged });
      context.terminal.note(`${shortId(each.commit)} is ${WORDS[judged.verdict]}`);
      bisection.judge(each, judged.verdict);
    }
    return report(bisection.outcome(), steps, context);
  },
};

const WORDS: Readonly<Record<Verdict, string>> = {
  good: 'good',
  bad: 'bad',
  skip: 'skipped',
};

interface Step extends Judged {
  readonly commit: string;
}

function argumentsOf(input: Input) {
  const [place = '', good = '', bad = '', ...command] = input.positionals;
  const { repository } = refPlaceOf(place);
  if (!command.some((part) => part.includes('{}'))) {
    throw new UsageError(
      'the command does not say where the commit goes',
      "write {} for the directory that it is mounted on, as in './replay.sh {}'",
    );
  }
  return { repository, good: refIn(repository, good), bad: refIn(repository, bad), command };
}

function announce({ commit, message }: CommitRow, left: number, context: CommandContext): void {
  const steps = plural(Math.ceil(Math.log2(left)), 'step');
  const { terminal } = context;
  const [subject = ''] = message.split('\n');
  terminal.note(
    `${plural(left, 'commit')} left, about ${steps}: ${shortId(commit)} ${terminal.name(subject)}`,
  );
}

async function report(
  outcome: Outcome<CommitRow>,
  steps: readonly Step[],
  { terminal }: CommandContext,
): Promise<number> {
  if (outcome.kind === 'found') {
    const { commit, author, date, message } = outcome.commit;
    const [subject = ''] = message.split('\n');
    const text = [
      `first bad commit ${commit}`,
      `author ${author}`,
      `date   ${shortDate(date)} UTC`,
      `       ${subject}`,
    ];
    await terminal.result({ first: outcome.commit, steps }, terminal.text(text.join('\n')));
    return EXIT.done;
  }
  const { commits } = outcome;
  const lines = commits.map(
    ({ commit, message }) => `${shortId(commit)} ${message.split('\n')[0]}`,
  );
  const text = ['not decided: the first bad commit is one of these', ...lines].join('\n');
  await terminal.result({ candidates: commits, steps }, terminal.text(text));
  return EXIT.failed;
}

export const commands: readonly Command[] = [bisect];
