import { ask, author, confirm } from '../ask.js';
import { settingsLines } from '../settings.js';
import type { Command, Input, Positional } from '../command.js';
import { UsageError, YES_OPTION } from '../command.js';
import { humanBytes, plural, shortDate, shortId } from '../../util/format.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { BUCKET_OPTIONS, isUrl, nameFor, storageOf } from '../storage.js';
import { requireKeys, settings } from './repo-settings.js';

const NAME: Positional = {
  name: 'NAME',
  what: "1 to 63 lower-case letters, digits and '-', as drive",
};

const ADD_HINT =
  "name where it lies: 'tarn repo add s3://fleet-logs/drive' or 'tarn repo add /data/drive'";

const create: Command = {
  name: 'repo create',
  summary: 'Create a repository with a branch main and an empty first commit',
  positionals: [NAME],
  options: {
    storage: {
      value: 'URL',
      what: 'a directory (or file:// URL) that is empty or does not exist yet, or s3://bucket/prefix, gs://bucket/prefix or az://container/prefix; the default lies in the home directory',
    },
    ...BUCKET_OPTIONS,
  },
  notes: [
    "Credentials of a bucket are found as the cloud's own tools find them, and never stored. Other options of the URL are in docs/buckets.md.",
  ],
  examples: [
    { command: 'tarn repo create drive', what: 'in the home directory' },
    { command: 'tarn repo create drive --storage /data/drive', what: 'on another disk' },
    {
      command: 'tarn repo create drive --storage s3://fleet-logs/drive --region eu-central-1',
      what: 'in a bucket, where other machines find it',
    },
  ],
  async run(input, context) {
    const [name = ''] = input.positionals;
    const storage = input.value('storage');
    const made = await ask(context, 'repo.create', {
      name,
      by: author(),
      ...(storage === undefined ? {} : { storage: storageOf(storage, input) }),
    });
    await context.terminal.result(made, `created repository '${made.name}' in ${made.storage}`);
  },
};

const add: Command = {
  name: 'repo add',
  summary: 'Make a repository known to this home directory that exists already',
  positionals: [
    {
      name: 'PLACE',
      what: "the repository's directory, or URL; its last part becomes the name here. With --storage, the name",
    },
  ],
  options: {
    name: { value: 'NAME', what: 'what it is called here' },
    storage: { value: 'URL', what: "the repository's directory, or URL, when PLACE is the name" },
    ...BUCKET_OPTIONS,
  },
  notes: [
    'Nothing is copied or changed. What was staged under the name in this home directory is staged again.',
  ],
  examples: [
    {
      command: 'tarn repo add s3://fleet-logs/drive --region eu-central-1',
      what: 'what another machine made in a bucket, as drive',
    },
    {
      command: 'tarn repo add /data/drive --name old-drive',
      what: 'as on another machine of the same disk, or after the list of repositories was lost',
    },
  ],
  async run(input, context) {
    const { name, place } = addedPlace(input);
    const added = await ask(context, 'repo.add', { name, storage: storageOf(place, input) });
    await context.terminal.result(added, `added repository '${added.name}' in ${added.storage}`);
  },
};

/** @throws UsageError when the place or the name is missing, or given twice */
function addedPlace(input: Input): { name: string; place: string } {
  const [first = ''] = input.positionals;
  const storage = input.value('storage');
  const name = input.value('name');
  if (storage !== undefined) {
    if (name === undefined) return { name: first, place: storage };
    throw new UsageError('with --storage, the name is given in place of PLACE', ADD_HINT);
  }
  if (!isUrl(first) && !first.includes('/') && !first.startsWith('.')) {
    throw new UsageError(`'${first}' is not a place: where the repository lies`, ADD_HINT);
  }
  const called = name ?? nameFor(first);
  if (called !== undefined) return { name: called, place: first };
  throw new UsageError(`'${first}' has no part that can be a name`, 'give one with --name');
}

const list: Command = {
  name: 'repo list',
  summary: 'List the repositories of this home directory',
  positionals: [],
  options: PAGE_OPTIONS('repositories', 'NAME'),
  examples: [{ command: 'tarn repo list --json', what: 'one JSON object a line' }],
  async run(input, context) {
    await ask(context, 'repo.list', pageOf(input), {
      onRow: (row) => context.terminal.row(row, () => `${row.name}\t${row.storage}`),
    });
  },
};

const show: Command = {
  name: 'repo show',
  summary:
    'Show a repository: where it lies, its branches, tags, newest commit on main and settings',
  positionals: [NAME],
  options: {},
  examples: [{ command: 'tarn repo show drive', what: 'where drive lies and how large main is' }],
  async run(input, context) {
    const [name = ''] = input.positionals;
    const found = await ask(context, 'repo.show', { name });
    const lines = [
      `repository  ${found.name}`,
      `storage     ${found.storage}`,
      `refs        ${plural(found.branches, 'branch', 'branches')}, ${plural(found.tags, 'tag')}`,
    ];
    if (found.head !== undefined) {
      const { commit, date, message } = found.head;
      lines.push(
        `main        ${shortId(commit)} ${shortDate(date)} ${message.split('\n')[0] ?? ''}`,
      );
      const size = `${plural(found.entries ?? 0, 'entry', 'entries')}, ${humanBytes(found.bytes ?? 0)}`;
      lines.push(`            ${size}`);
    }
    lines.push(...settingsLines(found.settings));
    await context.terminal.result(found, context.terminal.text(lines.join('\n')));
  },
};

const remove: Command = {
  name: 'repo delete',
  summary: 'Delete a repository with all its history and files',
  positionals: [NAME],
  options: { yes: YES_OPTION },
  notes: [
    'Removes everything that tarn has stored for it, for good. Refused while it is mounted or something works on it.',
  ],
  examples: [{ command: 'tarn repo delete drive --yes', what: 'without being asked' }],
  async run(input, context) {
    const [name = ''] = input.positionals;
    let storage = 'its storage';
    await ask(
      context,
      'repo.list',
      {},
      {
        onRow: (row) => {
          if (row.name === name) storage = row.storage;
        },
      },
    );
    const what = `delete repository '${name}' and all of its history in ${storage}?`;
    await confirm(context, input.flag('yes'), what);
    const gone = await ask(context, 'repo.delete', { name });
    await context.terminal.result(gone, `deleted repository '${name}'`);
  },
};

export const commands: readonly Command[] = [
  create,
  add,
  list,
  show,
  remove,
  requireKeys,
  settings,
];
