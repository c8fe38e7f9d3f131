import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { humanBytes, plural, shortId } from '../format.js';
import { BRANCH, branchOf } from '../places.js';

const MARKS = { added: 'A', changed: 'M', removed: 'D' } as const;

const status: Command = {
  name: 'status',
  summary: 'List what is staged on a branch and not yet committed',
  positionals: [BRANCH],
  options: {},
  notes: ['A is added, M changed, D removed; a removed folder is one line, ending with /.'],
  examples: [{ command: 'tarn status drive/main', what: 'what the next commit would hold' }],
  async run(input, context) {
    const { terminal } = context;
    const args = branchOf(input.positionals[0] ?? '');
    const result = await ask(context, 'status', args, {
      onRow: (row) =>
        terminal.row(row, () => {
          const size = row.size === undefined ? '' : humanBytes(row.size);
          return `${MARKS[row.change]}  ${size.padStart(10)}  ${terminal.name(row.path)}`;
        }),
    });
    const { added, changed, removed } = result;
    const total = added + changed + removed;
    const on = `${args.repository}/${args.branch} at ${shortId(result.base)}`;
    await terminal.flush();
    if (total === 0) terminal.note(`nothing is staged on ${on}`);
    else
      terminal.note(
        `${plural(added, 'added', 'added')}, ${changed} changed, ${removed} removed on ${on}`,
      );
  },
};

export const commands: readonly Command[] = [status];
