import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { refPlaceOf } from '../places.js';

const catCommit: Command = {
  name: 'cat-commit',
  summary: "Print a commit's bytes, whose SHA-256 is its id",
  positionals: [{ name: 'REF', what: 'repository/ref, as drive/main~1' }],
  options: {},
  notes: ['For scripts. With --json the same as an object, as tarn log prints it.'],
  examples: [
    { command: 'tarn cat-commit drive/prod-2025-08-15', what: 'the commit of a tag' },
    { command: 'tarn cat-commit drive/main | sha256sum', what: 'its id, computed again' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const row = await ask(context, 'cat-commit', refPlaceOf(input.positionals[0] ?? ''), {
      onBytes: (bytes) => (terminal.json ? undefined : terminal.bytes(bytes)),
    });
    if (terminal.json) await terminal.result(row, '');
  },
};

export const commands: readonly Command[] = [catCommit];
