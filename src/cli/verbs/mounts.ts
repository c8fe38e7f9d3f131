import { askRunning } from '../ask.js';
import type { Command } from '../command.js';
import { shortId } from '../format.js';
import { deadMounts, deadRow } from '../mounts.js';

const mounts: Command = {
  name: 'mounts',
  summary: 'List what is mounted, and mounts whose daemon has died',
  positionals: [],
  options: {},
  examples: [
    { command: 'tarn mounts', what: 'directory, repository/ref, commit, driver' },
    { command: 'tarn mounts --json', what: 'with what the driver got from this kernel' },
  ],
  async run(_input, context) {
    const { terminal } = context;
    const served: string[] = [];
    await askRunning(
      context,
      'mounts',
      {},
      {
        onRow: (row) => {
          served.push(row.directory);
          const from = `${row.repository}/${row.ref}`;
          return terminal.row(row, () =>
            terminal.name(`${row.directory}  ${from}  ${shortId(row.commit)}  ${row.driver}`),
          );
        },
      },
    );
    for (const mount of await deadMounts(served)) {
      const row = deadRow(mount);
      await terminal.row(row, () =>
        terminal.name(
          `${row.directory}  ${row.repository}  ${shortId(row.commit)}  dead: tarn umount it`,
        ),
      );
    }
  },
};

export const commands: readonly Command[] = [mounts];
