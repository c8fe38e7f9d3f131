import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { humanBytes, plural, shortDate } from '../format.js';
import { refPlaceOf } from '../places.js';

const show: Command = {
  name: 'show',
  summary: 'Show one commit: who, when, why, its metadata and how much it holds',
  positionals: [{ name: 'REF', what: 'repository/ref, as drive/golden or drive/main~1' }],
  options: {},
  examples: [{ command: 'tarn show drive/golden', what: 'what the tag golden stands for' }],
  async run(input, context) {
    const { terminal } = context;
    const found = await ask(context, 'show', refPlaceOf(input.positionals[0] ?? ''));
    const lines = [
      `commit   ${found.commit}`,
      `tree     ${found.tree}`,
      ...found.parents.map((parent) => `parent   ${parent}`),
      `author   ${found.author}`,
      `date     ${shortDate(found.date)} UTC`,
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

export const commands: readonly Command[] = [show];
