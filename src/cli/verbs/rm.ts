import { ask, confirm } from '../ask.js';
import type { Command } from '../command.js';
import { UsageError, YES_OPTION } from '../command.js';
import { plural } from '../../util/format.js';
import { branchPlaceOf } from '../places.js';

const rm: Command = {
  name: 'rm',
  summary: 'Stage the removal of files or folders from a branch',
  positionals: [
    { name: 'ADDRESS', what: 'a file, or with -r a folder, as drive/main/labels', many: true },
  ],
  options: {
    recursive: { short: 'r', what: 'remove folders with all below them' },
    yes: YES_OPTION,
  },
  notes: [
    'Commits keep what they hold: only the next commit of the branch is without it. Removing a file that was staged and never committed destroys it, so that -r asks first.',
  ],
  examples: [
    { command: 'tarn rm drive/main/labels/run-8421.json', what: 'one file' },
    { command: 'tarn rm -r --yes drive/main/raw/2025-06-14/run-8421', what: 'a folder, unasked' },
  ],
  async run(input, context) {
    const places = input.positionals.map(branchPlaceOf);
    const recursive = input.flag('recursive');
    const [first] = places;
    if (first === undefined) return;
    const { repository, branch } = first;
    if (places.some((place) => place.repository !== repository || place.branch !== branch)) {
      throw new UsageError('one rm works on one branch', 'run it once for each branch');
    }
    if (recursive) {
      const what = `remove ${input.positionals.join(', ')} and all below from the branch?`;
      await confirm(context, input.flag('yes'), what);
    }
    const paths = places.map(({ path }) => path);
    const result = await ask(context, 'rm', { repository, branch, paths, recursive });
    await context.terminal.result(
      result,
      `staged the removal of ${plural(result.removed, 'entry', 'entries')} on ${repository}/${branch}`,
    );
  },
};

export const commands: readonly Command[] = [rm];
