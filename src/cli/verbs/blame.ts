import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { plural, shortDate, shortId } from '../../util/format.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { ADDRESS, placeOf, refPlaceOf } from '../places.js';

const blame: Command = {
  name: 'blame',
  summary: 'Name, for each file, the commit that last changed it',
  positionals: [
    ADDRESS,
    { name: 'PATH', what: 'where ADDRESS is repository/ref alone: the path', optional: true },
  ],
  options: PAGE_OPTIONS('files', 'PATH'),
  notes: [
    'Of a folder, each file below it, in path order, once all are found: the search goes back through history until then, and costs what the commits changed there. With --limit only so many files are searched for. Of a branch, what is committed counts, not what is staged.',
    'A merge has made a file what it is only if no parent has it so; else the first parent that does leads on.',
  ],
  examples: [
    { command: 'tarn blame drive/main labels/', what: 'who made each label what it is' },
    {
      command: 'tarn blame drive/prod-2025-08-15/calibration/front.yaml',
      what: 'one file of a tag',
    },
    { command: 'tarn blame drive/main raw/2025-06-14/run-8421 --limit 100 --json', what: 'a page' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const [address = '', path] = input.positionals;
    const place = path === undefined ? placeOf(address) : { ...refPlaceOf(address), path };
    await ask(
      context,
      'blame',
      { ...place, ...pageOf(input) },
      {
        onRow: (row) => {
          terminal.clearStatus();
          return terminal.row(row, () => {
            const { commit, date, author, subject } = row;
            const about = `${shortId(commit)}  ${shortDate(date)}  ${author.padEnd(12)}`;
            return terminal.name(`${about}  ${row.path}  ${subject}`);
          });
        },
        onProgress: ({ files }) => terminal.status(`found the commits of ${plural(files, 'file')}`),
      },
    );
    terminal.clearStatus();
  },
};

export const commands: readonly Command[] = [blame];
