import { ask } from '../ask.js';
import {
  BRING_OPTIONS,
  bringArguments,
  CONFLICT_NOTES,
  listeners,
  MAINLINE_OPTION,
  mainlineOf,
  report,
} from '../bringing.js';
import type { Command } from '../command.js';
import { plural } from '../../util/format.js';
import { BRANCH, branchOf, refIn } from '../places.js';

const cherryPick: Command = {
  name: 'cherry-pick',
  summary: 'Repeat what some commits changed, as new commits of a branch',
  positionals: [
    BRANCH,
    { name: 'COMMIT', what: 'in the order in which to apply them, as labels-v2~1', many: true },
  ],
  options: {
    mainline: MAINLINE_OPTION,
    ...BRING_OPTIONS,
    meta: {
      ...BRING_OPTIONS.meta,
      what: 'metadata laid over that of each commit; may be repeated',
    },
    author: { ...BRING_OPTIONS.author, what: "who does it, for the branch's history" },
  },
  notes: [
    'Each new commit keeps the author, the message, with the id of the commit it repeats, and the metadata; its date is the present. A commit that changes nothing on the branch is left out. When one conflicts none is made.',
    ...CONFLICT_NOTES,
  ],
  examples: [
    {
      command: 'tarn cherry-pick drive/main incident-2025-06-14-8421-glare',
      what: "only the newest commit of the incident's branch",
    },
    {
      command: 'tarn cherry-pick drive/main labels-v2~1 labels-v2 --meta calibration=v7',
      what: 'two commits, both with the calibration in force',
    },
  ],
  async run(input, context) {
    const [given = '', ...wanted] = input.positionals;
    const { repository, branch } = branchOf(given);
    const commits = wanted.map((each) => refIn(repository, each));
    const args = { repository, branch, commits, ...mainlineOf(input), ...bringArguments(input) };
    const result = await ask(context, 'cherry-pick', args, listeners(context.terminal));
    const what = plural(result.commits ?? commits.length, 'commit');
    return report(context, result, {
      done: `picked ${what}`,
      would: `pick ${what} onto ${repository}/${branch}`,
      nothing: 'nothing to pick',
    });
  },
};

export const commands: readonly Command[] = [cherryPick];
