import type { ShowResult } from '../../daemon/protocol/history.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { bytesText, countsText, humanBytes, plural, shortDate } from '../../util/format.js';
import { refPlaceOf } from '../places.js';

const show: Command = {
  name: 'show',
  summary: 'Show one commit: who, when, why, its metadata, what it changed and how much it holds',
  positionals: [{ name: 'REF', what: 'repository/ref, as drive/golden or drive/main~1' }],
  options: {},
  notes: [
    'What it changed is counted against its first parent, renames not looked for, and no further than some 100,000; tarn diff lists it.',
  ],
  examples: [
    { command: 'tarn show drive/prod-2025-08-15', what: 'what the tag stands for' },
    { command: 'tarn show drive/main~1 --json', what: 'the commit before the newest of main' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const found = await ask(context, 'show', refPlaceOf(input.positionals[0] ?? ''));
    const lines = [
      `commit   ${found.commit}`,
      `tree     ${found.tree}`,
      ...found.parents.map((parent) => `parent   ${parent}`),
      `author   ${found.author}`,
      `date     ${shortDate(found.date)} UTC`,
      ...changesLine(found.changes),
      `holds    ${plural(found.entries, 'entry', 'entries')}, ${humanBytes(found.bytes)}`,
      ...found.branches.map((name) => `branch   ${name}`),
      ...found.tags.map((name) => `tag      ${name}`),
      ...Object.entries(found.metadata).map(([key, value]) => `meta     ${key}=${value}`),
      '',
      ...found.message
        .trimEnd()
        .split('\n')
        .map((line) => `    ${line}`),
    ];
    await terminal.result(found, terminal.text(lines.join('\n')));
  },
};

function changesLine(changes: ShowResult['changes']): string[] {
  if (changes === undefined) return [];
  const { counts, more } = changes;
  return [`changed  ${more ? 'at least ' : ''}${countsText(counts)}; ${bytesText(changes)}`];
}

export const commands: readonly Command[] = [show];
