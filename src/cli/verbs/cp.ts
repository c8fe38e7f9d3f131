import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { FORCE_OPTION, UsageError } from '../command.js';
import { plural } from '../../util/format.js';
import { branchPlaceOf, placeOf } from '../places.js';

const cp: Command = {
  name: 'cp',
  summary: 'Stage a copy of a file or folder of any moment on a branch',
  positionals: [
    {
      name: 'FROM',
      what: 'a file or folder of a branch, tag or commit, as drive/prod-2025-08-15/labels',
    },
    {
      name: 'TO',
      what: "its path on a branch of the same repository; ending with '/': a folder that it goes into",
    },
  ],
  options: { force: FORCE_OPTION },
  notes: [
    'No bytes are read or written, however large it is: both share them. Folders are copied with all below them. A bare branch is read with what is staged on it. Without --force nothing is overwritten.',
  ],
  examples: [
    {
      command: 'tarn cp drive/prod-2025-08-15/labels drive/labels-v2/labels',
      what: 'the labels of a tag on another branch',
    },
    {
      command:
        'tarn cp drive/main@{yesterday}/calibration/lidar.json drive/main/calibration/ --force',
      what: "yesterday's version of a file",
    },
  ],
  async run(input, context) {
    const [fromText = '', toText = ''] = input.positionals;
    const [from, to] = [placeOf(fromText), branchPlaceOf(toText)];
    if (from.repository !== to.repository) {
      throw new UsageError(
        'cp works within one repository',
        "take files to another one with 'tarn get' and 'tarn put'",
      );
    }
    const { repository, branch } = to;
    const force = input.flag('force');
    const paths = { fromRef: from.ref, from: from.path, to: to.path };
    const result = await ask(context, 'cp', { repository, branch, ...paths, force });
    const what = plural(result.entries, 'entry', 'entries');
    await context.terminal.result(result, `staged a copy of ${what} on ${repository}/${branch}`);
  },
};

export const commands: readonly Command[] = [cp];
