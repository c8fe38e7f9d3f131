import { changeLine, leftLine, statusSummary } from '../../daemon/texts.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { WORKSPACE, workspaceOf } from '../places.js';

const status: Command = {
  name: 'status',
  summary: 'List what is staged on a branch and not yet committed',
  positionals: [WORKSPACE],
  options: { ...PAGE_OPTIONS('changes', 'PATH') },
  notes: [
    'What programs changed in mounts of the branch counts too; of a file that was not stored yet only size and time are compared. What a commit leaves out comes last, marked !, with the reason: named pipes, sockets and devices, files that the ignore rules name, and what a program is writing.',
    'A is added, M changed, D removed, T a file that became a symlink or the reverse, P other permissions, time or metadata with the same bytes. A folder of which nothing is left is one line, ending with /.',
  ],
  examples: [
    { command: 'tarn status drive/main', what: 'what the next commit would hold' },
    { command: 'tarn status drive/main --limit 20', what: 'the first changes' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const place = workspaceOf(input.positionals[0] ?? '');
    const args = { ...place, ...pageOf(input) };
    const name = (text: string): string => terminal.name(text);
    const result = await ask(context, 'status', args, {
      onRow: (row) => terminal.row(row, () => changeLine(row, name)),
    });
    for (const row of result.left ?? []) {
      await terminal.row(row, () => leftLine(row, name));
    }
    await terminal.flush();
    const { more } = result;
    const isPage = more || args.after !== undefined;
    terminal.note(statusSummary(result, `${place.repository}/${place.branch}`, isPage));
    if (more) terminal.note('there is more: raise --limit, or go on with --after');
  },
};

export const commands: readonly Command[] = [status];
