import { ask, author, confirm } from '../ask.js';
import type { Command } from '../command.js';
import { UsageError, YES_OPTION } from '../command.js';
import { shortId } from '../../util/format.js';
import { WORKSPACE, workspaceOf, refIn } from '../places.js';

const reset: Command = {
  name: 'reset',
  summary: 'Give up what is staged on a branch, or move the branch to another commit',
  positionals: [
    WORKSPACE,
    { name: 'REF', what: 'the commit that the branch shall be at', optional: true },
  ],
  options: {
    path: {
      value: 'PATH',
      many: true,
      what: 'give up only what is staged at or below PATH, given from the root of the branch; may be repeated',
    },
    yes: YES_OPTION,
  },
  notes: [
    'Files that were staged and never committed are destroyed, so that it asks first. Commits are not touched.',
    'With REF the branch itself moves, unless it is protected; what is staged on it stays staged and is checked when it is committed. It prints the commit where the branch was: to go back, reset to that, or to a time, as main@{10 minutes ago}.',
  ],
  examples: [
    { command: 'tarn reset drive/labels-v2', what: 'give up everything staged' },
    {
      command: 'tarn reset drive/labels-v2 --path labels/run-8421.json --yes',
      what: 'one file is again as the branch has it',
    },
    {
      command: 'tarn reset drive/incident-2025-06-14-8421-glare prod-2025-08-15',
      what: 'the branch begins again at a tag',
    },
  ],
  async run(input, context) {
    const { repository, branch } = workspaceOf(input.positionals[0] ?? '');
    const [, ref] = input.positionals;
    const paths = input.values('path');
    const on = `${repository}/${branch}`;
    if (ref === undefined) {
      const what = paths.length === 0 ? 'everything' : `what is at ${paths.join(', ')} and`;
      await confirm(context, input.flag('yes'), `give up ${what} staged on ${on}?`);
      const result = await ask(context, 'reset', { repository, branch, paths });
      const done = result.reset ? 'gave up what was staged' : 'nothing was staged';
      return context.terminal.result(result, `${done} on ${on}`);
    }
    if (paths.length > 0) {
      throw new UsageError(
        'a branch moves as a whole: REF and --path do not go together',
        `take single paths of another commit with 'tarn cp'`,
      );
    }
    const to = refIn(repository, ref);
    await confirm(context, input.flag('yes'), `move the branch ${on} to ${to}?`);
    const moved = await ask(context, 'branch.reset', { repository, branch, to, by: author() });
    const text = `${on} is at ${shortId(moved.to)}, was at ${moved.from}`;
    return context.terminal.result(moved, text);
  },
};

export const commands: readonly Command[] = [reset];
