import type { MountRow } from '../../daemon/protocol.js';
import { askRunning } from '../ask.js';
import type { Command } from '../command.js';
import { shortId } from '../../util/format.js';
import { deadMounts, deadRow } from '../mounts.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';

const mounts: Command = {
  name: 'mounts',
  summary: 'List what is mounted, and mounts whose daemon has died',
  positionals: [],
  options: PAGE_OPTIONS('mounts', 'DIR'),
  notes: ['In order of directories.'],
  examples: [
    { command: 'tarn mounts', what: 'directory, repository/ref, commit, driver' },
    { command: 'tarn mounts --json', what: 'with what the driver got from this kernel' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const { limit, after = '' } = pageOf(input);
    const rows: MountRow[] = [];
    await askRunning(context, 'mounts', {}, { onRow: (row) => void rows.push(row) });
    const served = rows.map(({ directory }) => directory);
    rows.push(...(await deadMounts(served)).map(deadRow));
    const behind = rows.filter(({ directory }) => directory > after);
    behind.sort((a, b) => (a.directory < b.directory ? -1 : 1));
    for (const row of behind.slice(0, limit)) {
      await terminal.row(row, () => terminal.name(lineOf(row)));
    }
  },
};

function lineOf(row: MountRow): string {
  const { directory, repository, ref, commit, driver, state } = row;
  const id = commit === undefined ? '' : `  ${shortId(commit)}`;
  if (state === 'dead') return `${directory}  ${repository}${id}  dead: tarn umount it`;
  if (ref === undefined) return `${directory}  ${repository}  ${driver}  the whole repository`;
  return `${directory}  ${repository}/${ref}${id}  ${driver}${howOf(row)}`;
}

function howOf({ write, follow, gone }: MountRow): string {
  if (write === true) return '  for writing';
  if (gone === true) return '  the branch is gone: stays at its last commit';
  return follow === true ? '  follows' : '';
}

export const commands: readonly Command[] = [mounts];
