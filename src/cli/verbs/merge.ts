import { ask } from '../ask.js';
import {
  BRING_OPTIONS,
  bringArguments,
  CONFLICT_NOTES,
  listeners,
  MESSAGE_OPTION,
  messageOf,
  report,
} from '../bringing.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { refIn, refPlaceOf } from '../places.js';

const merge: Command = {
  name: 'merge',
  summary: 'Merge a commit into a branch: all that changed on the way to it',
  positionals: [
    { name: 'SRC', what: 'what to merge, as drive/incident-2025-06-14-8421-glare' },
    { name: 'DST', what: 'the branch to merge into, bare or as drive/main' },
  ],
  options: {
    message: { ...MESSAGE_OPTION, what: "why; 'Merge SRC into DST' without it" },
    ...BRING_OPTIONS,
    squash: { what: 'take only the changes: one commit that does not name SRC as a parent' },
    ff: { what: 'make no commit where DST can just move to SRC' },
    'no-ff': { what: 'always make a commit, which is what happens without --ff' },
  },
  notes: [
    'Makes a commit whose parents are the head of DST and SRC. Where someone else commits to DST in the meantime the merge is made again on top of that. SRC stays as it is.',
    'Both sides are compared with what they last had in common. Where that is several commits, because each side merged the other, those are merged first; where they conflict with each other there is no version that both sides started from, and every difference is a conflict.',
    ...CONFLICT_NOTES,
  ],
  examples: [
    {
      command: 'tarn merge drive/incident-2025-06-14-8421-glare main --meta calibration=v7',
      what: 'promote an incident branch, and say in what context it was made',
    },
    {
      command: "tarn merge drive/labels-v2 main --prefer dst --prefer 'src:labels/**'",
      what: 'conflicts go to the label branch below labels/, elsewhere to main',
    },
    { command: 'tarn merge drive/labels-v2 main --dry-run', what: 'would it merge?' },
  ],
  async run(input, context) {
    const [given = '', wanted = ''] = input.positionals;
    const { repository, ref: source } = refPlaceOf(given);
    const branch = refIn(repository, wanted);
    const fastForward = input.flag('ff');
    const squash = input.flag('squash');
    if (fastForward && (squash || input.flag('no-ff'))) {
      const other = squash ? '--squash' : '--no-ff';
      throw new UsageError(`--ff and ${other} exclude each other`, 'choose one of them');
    }
    const args = {
      repository,
      branch,
      source,
      squash,
      fastForward,
      ...messageOf(input),
      ...bringArguments(input),
    };
    const result = await ask(context, 'merge', args, listeners(context.terminal));
    return report(context, result, {
      done: `merged ${source}`,
      would: `merge ${source} into ${repository}/${branch}`,
      nothing: 'nothing to merge',
    });
  },
};

export const commands: readonly Command[] = [merge];
