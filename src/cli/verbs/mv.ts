import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { FORCE_OPTION, UsageError } from '../command.js';
import { plural } from '../../util/format.js';
import { branchPlaceOf } from '../places.js';

const mv: Command = {
  name: 'mv',
  summary: 'Stage another path for a file or folder of a branch',
  positionals: [
    { name: 'FROM', what: 'a file or folder on a branch, as drive/main/labels' },
    {
      name: 'TO',
      what: "its new path on the same branch; ending with '/': a folder that it goes into",
    },
  ],
  options: { force: FORCE_OPTION },
  notes: [
    "No bytes are read or written, however large it is. Without --force nothing is overwritten. Give it back its old path, or 'tarn reset', to undo it before the commit.",
  ],
  examples: [
    {
      command: 'tarn mv drive/main/labels drive/main/labels-v1',
      what: 'a folder with all below it',
    },
    {
      command: 'tarn mv drive/main/raw/2025-06-14/run-8421 drive/main/incidents/',
      what: 'into a folder, as incidents/run-8421',
    },
  ],
  async run(input, context) {
    const [fromText = '', toText = ''] = input.positionals;
    const [from, to] = [branchPlaceOf(fromText), branchPlaceOf(toText)];
    if (from.repository !== to.repository || from.branch !== to.branch) {
      throw new UsageError(
        'mv works on one branch',
        "copy with 'tarn cp', then remove with 'tarn rm'",
      );
    }
    const { repository, branch } = to;
    const force = input.flag('force');
    const args = { repository, branch, from: from.path, to: to.path, force };
    const result = await ask(context, 'mv', args);
    const what = plural(result.entries, 'entry', 'entries');
    await context.terminal.result(result, `staged the move of ${what} on ${repository}/${branch}`);
  },
};

export const commands: readonly Command[] = [mv];
