import type { ListRow } from '../../daemon/protocol.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { humanBytes, shortDate } from '../../util/format.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { ADDRESS, placeOf } from '../places.js';

const ls: Command = {
  name: 'ls',
  summary: 'List files and folders of a moment',
  positionals: [ADDRESS],
  options: {
    long: { short: 'l', what: 'mode, size, time (UTC); for folders the size of all below them' },
    recursive: { short: 'r', what: 'all files below, by their paths from the root' },
    ...PAGE_OPTIONS('lines', 'PATH'),
  },
  notes: ['--after takes the path from the root, as -r and --json print it.'],
  examples: [
    { command: 'tarn ls drive/main/raw/2025-06-14', what: 'one folder; folders end with /' },
    { command: 'tarn ls -l drive/main@', what: 'what is committed on main, with sizes' },
    { command: 'tarn ls -r --json drive/golden', what: 'all of a tag, one JSON object a line' },
    {
      command: 'tarn ls drive/main/labels --limit 1000 --after labels/run-8421.json',
      what: 'the next thousand of a large folder',
    },
  ],
  async run(input, context) {
    const { terminal } = context;
    const place = placeOf(input.positionals[0] ?? '');
    const long = input.flag('long');
    const recursive = input.flag('recursive');
    const cut = recursive ? 0 : place.path.replace(/\/$/, '').length;
    const shown = (row: ListRow): string => {
      const below = cut > 0 && row.path.length > cut + 1 ? row.path.slice(cut + 1) : row.path;
      return terminal.name(row.kind === 'directory' ? `${below}/` : below);
    };
    await ask(
      context,
      'ls',
      { ...place, recursive, long, ...pageOf(input) },
      {
        onRow: (row) => terminal.row(row, () => (long ? longLine(row, shown(row)) : shown(row))),
      },
    );
  },
};

function longLine(row: ListRow, name: string): string {
  const size = row.size === undefined ? '' : humanBytes(row.size);
  const what = { file: '-', directory: 'd', symlink: 'l' }[row.kind];
  const target = row.target === undefined ? '' : ` -> ${row.target}`;
  return `${what}${row.mode ?? '0755'}  ${size.padStart(10)}  ${shortDate(row.mtime)}  ${name}${target}`;
}

export const commands: readonly Command[] = [ls];
