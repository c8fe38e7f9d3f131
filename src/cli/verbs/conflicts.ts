import { ask } from '../ask.js';
import { listeners } from '../bringing.js';
import type { Command } from '../command.js';
import { EXIT } from '../command.js';
import { plural } from '../../util/format.js';
import { WORKSPACE, workspaceOf } from '../places.js';

const conflicts: Command = {
  name: 'conflicts',
  summary: 'List the paths that are staged on a branch and that others have changed there since',
  positionals: [WORKSPACE],
  options: {},
  notes: [
    'For each path: base is what it was when it was staged, ours what is staged, theirs what the branch has now. While there are any, a commit is refused and changes nothing. The exit code is 3 when there are any, 0 when there are none.',
    'Decide each with tarn resolve, or give up all that is staged with tarn reset.',
  ],
  examples: [
    { command: 'tarn conflicts drive/labels-v2', what: 'what keeps tarn commit from committing' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const place = workspaceOf(input.positionals[0] ?? '');
    const { conflicts: count } = await ask(context, 'conflicts', place, listeners(terminal));
    await terminal.flush();
    const on = `${place.repository}/${place.branch}`;
    if (count === 0) {
      terminal.note(`nothing that is staged on ${on} conflicts`);
      return EXIT.done;
    }
    terminal.note(
      `${plural(count, 'path conflicts', 'paths conflict')} on ${on}: decide with tarn resolve ${on} PATH --ours, --theirs or --file F`,
    );
    return EXIT.conflict;
  },
};

export const commands: readonly Command[] = [conflicts];
