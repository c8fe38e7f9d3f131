import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { humanBytes, plural } from '../../util/format.js';
import { ADDRESS, placeOf } from '../places.js';

const stat: Command = {
  name: 'stat',
  summary: 'Show all that is known of a file or folder',
  positionals: [ADDRESS],
  options: {},
  examples: [
    {
      command: 'tarn stat drive/golden/raw/2025-06-14/run-8421/log.mcap',
      what: 'size, times, and the id of its content',
    },
  ],
  async run(input, context) {
    const { terminal } = context;
    const found = await ask(context, 'stat', placeOf(input.positionals[0] ?? ''));
    const rows: [string, string | undefined][] = [
      ['path', found.path === '' ? '/' : found.path],
      ['kind', found.kind],
      ['size', found.size === undefined ? undefined : `${found.size} (${humanBytes(found.size)})`],
      [
        'holds',
        found.entries === undefined ? undefined : plural(found.entries, 'entry', 'entries'),
      ],
      ['mode', found.mode],
      ['mtime', found.mtime],
      ['target', found.target],
      ['content', found.content],
      ['imported', found.importedFrom === undefined ? undefined : `from ${found.importedFrom}`],
      ['type', found.contentType],
      ['etag', found.etag],
      ['repository', found.repository],
      ['ref', found.ref],
      ['commit', found.commit],
      ...Object.entries(found.metadata ?? {}).map(([key, value]): [string, string] => [
        `meta ${key}`,
        value,
      ]),
    ];
    const lines = rows.flatMap(([name, value]) =>
      value === undefined ? [] : [`${name.padEnd(10)}  ${value}`],
    );
    await terminal.result(found, terminal.text(lines.join('\n')));
  },
};

export const commands: readonly Command[] = [stat];
