import { ask } from '../ask.js';
import type { Command, Input } from '../command.js';
import { UsageError } from '../command.js';
import { plural } from '../../util/format.js';
import { WORKSPACE, workspaceOf } from '../places.js';
import { resolveSources } from '../sources.js';

const resolve: Command = {
  name: 'resolve',
  summary: 'Decide a path that is staged on a branch and was changed there by others',
  positionals: [WORKSPACE, { name: 'PATH', what: 'the path, from the root of the branch' }],
  options: {
    ours: { what: 'what is staged here' },
    theirs: { what: 'what the branch has now' },
    file: { value: 'FILE', what: 'a file of this machine, in which both were brought together' },
  },
  notes: [
    'Only what is staged changes, and tarn commit then commits it. The version that is not taken stays in the history where it was committed; what was only staged and is not taken is gone.',
  ],
  examples: [
    {
      command: 'tarn resolve drive/labels-v2 labels/run-8421.json --theirs',
      what: 'as the branch has it now',
    },
    {
      command: 'tarn resolve drive/labels-v2 labels/run-8421.json --file ./merged.json',
      what: 'as it was merged by hand',
    },
  ],
  async run(input, context) {
    const [place = '', path = ''] = input.positionals;
    const { repository, branch } = workspaceOf(place);
    const decided = await sideOf(input);
    const result = await ask(context, 'resolve', { repository, branch, path, ...decided });
    const { side, left } = result;
    const taken = { ours: 'what is staged', theirs: "the branch's", file: 'the file' }[side];
    const rest = left === 0 ? 'nothing else conflicts' : `${plural(left, 'path')} left`;
    await context.terminal.result(
      result,
      `${context.terminal.name(result.path)}: took ${taken}; ${rest}`,
    );
  },
};

async function sideOf(
  input: Input,
): Promise<{ side: 'ours' | 'theirs' } | { side: 'file'; file: string }> {
  const file = input.value('file');
  const sides = (['ours', 'theirs'] as const).filter((side) => input.flag(side));
  const [side] = sides;
  if (sides.length + (file === undefined ? 0 : 1) !== 1) {
    throw new UsageError(
      'choose one of --ours, --theirs and --file',
      'see both with tarn conflicts',
    );
  }
  if (side !== undefined) return { side };
  const [real = ''] = await resolveSources([file ?? ''], false);
  return { side: 'file', file: real };
}

export const commands: readonly Command[] = [resolve];
