import { ask } from '../ask.js';
import {
  BRING_OPTIONS,
  bringArguments,
  CONFLICT_NOTES,
  listeners,
  MAINLINE_OPTION,
  mainlineOf,
  MESSAGE_OPTION,
  messageOf,
  report,
} from '../bringing.js';
import type { Command } from '../command.js';
import { BRANCH, branchOf, refIn } from '../places.js';

const revert: Command = {
  name: 'revert',
  summary: 'Undo what one commit changed, as a new commit',
  positionals: [
    BRANCH,
    { name: 'COMMIT', what: 'the commit to undo, as 3f2a91c4 or main~2; not the first of all' },
  ],
  options: {
    message: { ...MESSAGE_OPTION, what: "why; 'Revert …' with the commit's first line without it" },
    mainline: MAINLINE_OPTION,
    ...BRING_OPTIONS,
  },
  notes: [
    'What came after the commit is kept. A conflict is a path that was changed again since.',
    ...CONFLICT_NOTES,
  ],
  examples: [
    { command: 'tarn revert drive/main main', what: 'undo the newest commit' },
    {
      command: "tarn revert drive/main main~3 --mainline 1 -m 'Labels v2 hurt recall at night'",
      what: 'undo a merge: go back to what main had',
    },
  ],
  async run(input, context) {
    const [given = '', wanted = ''] = input.positionals;
    const { repository, branch } = branchOf(given);
    const commit = refIn(repository, wanted);
    const args = {
      repository,
      branch,
      commit,
      ...mainlineOf(input),
      ...messageOf(input),
      ...bringArguments(input),
    };
    const result = await ask(context, 'revert', args, listeners(context.terminal));
    return report(context, result, {
      done: `reverted ${commit}`,
      would: `revert ${commit} on ${repository}/${branch}`,
      nothing: 'nothing to revert',
    });
  },
};

export const commands: readonly Command[] = [revert];
