import { parseRepositoryName } from '../../model/address.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';

const list: Command = {
  name: 'workspace list',
  summary: 'List the private workspaces of a repository',
  positionals: [{ name: 'REPO', what: 'the repository' }],
  options: {},
  notes: [
    'tarn mount --write --private makes one. It stays until nothing is staged in it and it is not mounted; tarn status, commit, reset, conflicts, resolve and mount --write take its name.',
  ],
  examples: [{ command: 'tarn workspace list drive', what: 'and where each is mounted' }],
  async run(input, context) {
    const [name = ''] = input.positionals;
    const { terminal } = context;
    await ask(
      context,
      'workspace.list',
      { repository: parseRepositoryName(name) },
      {
        onRow: (row) =>
          terminal.row(row, () => {
            const where = row.mounts.length === 0 ? 'not mounted' : row.mounts.join('  ');
            return terminal.name(`${row.repository}/${row.workspace}  ${where}`);
          }),
      },
    );
  },
};

export const commands: readonly Command[] = [list];
