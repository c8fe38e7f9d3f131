import { readFile } from 'node:fs/promises';
import { parseBranchPatternAddress, parseRepositoryName } from '../../model/address.js';
import { parseTime } from '../../model/time.js';
import type { Schema } from '../../repo/satisfiable.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import { printable } from '../../util/printable.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { changeSettings, printChange } from '../settings.js';

export const requireKeys: Command = {
  name: 'repo require',
  summary: 'Say which metadata every commit on a branch must have',
  positionals: [
    {
      name: 'REPO/BRANCH',
      what: "the branch, as drive/main, or a pattern of names, as 'drive/release-*'; it need not exist yet",
    },
    { name: 'KEY', what: 'a key that must be there, as calibration', optional: true, many: true },
  ],
  options: {
    schema: {
      value: 'FILE',
      what: 'a JSON Schema (draft 7, or 2020-12 where its $schema says so) of the metadata, an object of text',
    },
    off: { what: 'require nothing more of that branch or pattern' },
  },
  notes: [
    'The rule becomes exactly what is given: keys and schema of before are dropped. It holds for commits, merges, reverts and cherry-picks, and a branch satisfies the rules of all patterns that it matches. Rules that no commit could satisfy are refused where that can be told.',
  ],
  examples: [
    {
      command: 'tarn repo require drive/main calibration firmware map',
      what: 'nobody promotes without saying which context it was made in',
    },
    { command: 'tarn repo require drive/main map --schema context.json', what: 'and how' },
    { command: 'tarn repo require drive/main --off', what: 'nothing is required' },
  ],
  async run(input, context) {
    const [address = '', ...required] = input.positionals;
    const { repository, pattern } = parseBranchPatternAddress(address);
    const file = input.value('schema');
    const isOff = input.flag('off');
    const isEmpty = required.length === 0 && file === undefined;
    if (isOff && !isEmpty) throw new UsageError('--off takes no keys and no schema');
    if (!isOff && isEmpty) {
      throw new UsageError('nothing is required', 'give keys, --schema FILE, or --off');
    }
    const rule = { kind: 'require', pattern, required } as const;
    const edit = file === undefined ? rule : { ...rule, schema: await readSchema(file) };
    const [at, keys] = [`${repository}/${pattern}`, [...new Set(required)].sort().join(', ')];
    const must = [
      ...(required.length === 0 ? [] : [`say ${keys}`]),
      ...(file === undefined ? [] : ['fit the schema']),
    ].join(' and ');
    await changeSettings(context, repository, edit, {
      done: isOff ? `nothing is required on ${at}` : `commits on ${at} must ${must}`,
      nothing: isOff ? `nothing was required on ${at}` : `that was required on ${at} already`,
    });
  },
};

export const settings: Command = {
  name: 'repo settings',
  summary: 'Print the settings of a repository as JSON, their history, or replace them',
  positionals: [{ name: 'REPO', what: 'the repository, as drive' }],
  options: {
    at: { value: 'TIME', what: "as they were then, as '2025-06-14 17:30 Europe/Berlin'" },
    history: { what: 'list who changed them, when and how, newest first' },
    set: { value: 'FILE', what: 'replace all of them by the JSON in FILE' },
    ...PAGE_OPTIONS('changes of --history', 'NUMBER'),
  },
  notes: [
    'Settings hold protectedBranches and protectedTags (lists of names, with * for any run of characters) and metadata (by name or pattern of branches: required keys and a schema). Every version is kept.',
  ],
  examples: [
    { command: 'tarn repo settings drive', what: 'to edit, or to compare' },
    { command: 'tarn repo settings drive --at 2025-06-14', what: 'those of that day' },
    { command: 'tarn repo settings drive --history --limit 5', what: 'the last five changes' },
    { command: 'tarn repo settings drive --set settings.json', what: 'all at once' },
  ],
  async run(input, context) {
    const repository = parseRepositoryName(input.positionals[0] ?? '');
    const [at, file] = [input.value('at'), input.value('set')];
    const page = pageOf(input);
    const isHistory = input.flag('history');
    if ([at, file, isHistory || undefined].filter((each) => each !== undefined).length > 1) {
      throw new UsageError('--at, --history and --set exclude one another');
    }
    if (!isHistory && Object.keys(page).length > 0) {
      throw new UsageError('--limit and --after go with --history');
    }
    if (isHistory) {
      const onRow = (row: Parameters<typeof printChange>[1]) => printChange(context, row);
      await ask(context, 'settings.history', { repository, ...page }, { onRow });
    } else if (file === undefined) {
      if (at !== undefined) parseTime(at);
      const args = at === undefined ? { repository } : { repository, at };
      const found = await ask(context, 'settings.show', args);
      await context.terminal.result(found, JSON.stringify(found.settings, undefined, 2));
    } else {
      const edit = { kind: 'set', text: await readText(file) } as const;
      await changeSettings(context, repository, edit, {
        done: `replaced the settings of ${repository}`,
        nothing: `the settings of ${repository} are these already`,
      });
    }
  },
};

/** @throws TarnError invalid when it is not JSON, and what reading the file throws */
async function readSchema(file: string): Promise<Schema> {
  const text = await readText(file);
  try {
    return JSON.parse(text) as Schema;
  } catch (error) {
    throw new TarnError(
      'invalid',
      `the schema '${file}' is not JSON: ${printable((error as Error).message)}`,
    );
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new TarnError('not-found', `there is no file '${file}'`);
    }
    throw asTarnError(error, `reading '${file}'`);
  }
}
