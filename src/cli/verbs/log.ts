import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { shortDate } from '../format.js';
import { wholeNumber } from '../parse.js';
import { refPlaceOf } from '../places.js';

const log: Command = {
  name: 'log',
  summary: 'List the commits that led to a ref, newest first',
  positionals: [{ name: 'REF', what: 'repository/ref, as drive/main or drive/golden~3' }],
  options: { limit: { short: 'n', value: 'N', what: 'at most N commits' } },
  examples: [
    { command: 'tarn log drive/main --limit 10', what: 'the last ten' },
    { command: 'tarn log drive/golden --json', what: 'one JSON object a commit' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const limit = input.value('limit');
    await ask(
      context,
      'log',
      {
        ...refPlaceOf(input.positionals[0] ?? ''),
        ...(limit === undefined ? {} : { limit: wholeNumber(limit, 'limit') }),
      },
      {
        onRow: (row) =>
          terminal.row(row, () => {
            const metadata = Object.entries(row.metadata).map(
              ([key, value]) => `    ${key}=${value}`,
            );
            const message = row.message
              .trimEnd()
              .split('\n')
              .map((line) => `    ${line}`);
            const head = [
              `commit ${row.commit}`,
              `author ${row.author}`,
              `date   ${shortDate(row.date)} UTC`,
            ];
            const about = metadata.length === 0 ? [] : ['', ...metadata];
            return terminal.text([...head, '', ...message, ...about, ''].join('\n'));
          }),
      },
    );
  },
};

export const commands: readonly Command[] = [log];
