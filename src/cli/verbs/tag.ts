import { parseRepositoryName, parseTagAddress } from '../../model/address.js';
import { parseTagPattern } from '../../model/name-pattern.js';
import { ask, author, confirm } from '../ask.js';
import type { Command, Positional } from '../command.js';
import { YES_OPTION } from '../command.js';
import { shortId } from '../../util/format.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { refIn } from '../places.js';
import { changeSettings, printChange } from '../settings.js';

const TAG: Positional = { name: 'REPO/TAG', what: 'the tag, as drive/golden' };

const list: Command = {
  name: 'tag list',
  summary: 'List the tags of a repository',
  positionals: [{ name: 'REPO', what: 'the repository, as drive' }],
  options: PAGE_OPTIONS('tags', 'TAG'),
  examples: [{ command: 'tarn tag list drive', what: 'names and commits' }],
  async run(input, context) {
    await ask(
      context,
      'tag.list',
      { repository: input.positionals[0] ?? '', ...pageOf(input) },
      {
        onRow: (row) => context.terminal.row(row, () => `${shortId(row.commit)}  ${row.name}`),
      },
    );
  },
};

const create: Command = {
  name: 'tag create',
  summary: 'Name a commit for good',
  positionals: [
    TAG,
    { name: 'REF', what: 'what it names, as main or main~1; default main', optional: true },
  ],
  options: {},
  notes: ['A tag names what is committed; what is staged on a branch is not part of it.'],
  examples: [
    { command: 'tarn tag create drive/prod-2025-08-15', what: 'the newest commit of main' },
    { command: 'tarn tag create drive/golden main~1', what: 'the commit before it' },
  ],
  async run(input, context) {
    const { repository, tag } = parseTagAddress(input.positionals[0] ?? '');
    const from = refIn(repository, input.positionals[1] ?? 'main');
    const made = await ask(context, 'tag.create', { repository, name: tag, from, by: author() });
    await context.terminal.result(made, `tagged ${shortId(made.commit)} as ${repository}/${tag}`);
  },
};

const remove: Command = {
  name: 'tag delete',
  summary: 'Delete a tag; its commit stays reachable by its id',
  positionals: [TAG],
  options: { yes: YES_OPTION },
  examples: [{ command: 'tarn tag delete drive/golden --yes', what: 'without being asked' }],
  async run(input, context) {
    const { repository, tag } = parseTagAddress(input.positionals[0] ?? '');
    await confirm(context, input.flag('yes'), `delete tag '${tag}' of '${repository}'?`);
    const gone = await ask(context, 'tag.delete', { repository, name: tag, by: author() });
    await context.terminal.result(
      gone,
      `deleted tag ${repository}/${tag} (was ${shortId(gone.commit)})`,
    );
  },
};

const history: Command = {
  name: 'tag history',
  summary: 'List when a tag was made and deleted, and by whom',
  positionals: [TAG],
  options: PAGE_OPTIONS('changes', 'NUMBER'),
  examples: [
    { command: 'tarn tag history drive/prod-2025-08-15', what: 'who made it, when, and of what' },
  ],
  async run(input, context) {
    const { repository, tag: name } = parseTagAddress(input.positionals[0] ?? '');
    const args = { repository, name, ...pageOf(input) };
    await ask(context, 'tag.history', args, { onRow: (row) => printChange(context, row) });
  },
};

const protect: Command = {
  name: 'tag protect',
  summary: 'Keep tags of some names from deletion',
  positionals: [
    { name: 'REPO', what: 'the repository, as drive' },
    { name: 'PATTERN', what: "a tag, or a pattern of names, as 'prod-*'; none need exist yet" },
  ],
  options: { off: { what: 'take the protection off' } },
  notes: ['No command moves a tag, protected or not.'],
  examples: [
    { command: "tarn tag protect drive 'prod-*'", what: 'prod-2025-08-15 is there for good' },
    { command: "tarn tag protect drive 'prod-*' --off", what: 'they can be deleted again' },
  ],
  async run(input, context) {
    const [name = '', given = ''] = input.positionals;
    const repository = parseRepositoryName(name);
    const pattern = parseTagPattern(given);
    const isOff = input.flag('off');
    const edit = { kind: 'protect', what: 'tag', pattern, isOff } as const;
    const tags = `tags '${pattern}' of ${repository}`;
    await changeSettings(context, repository, edit, {
      done: `${tags} are ${isOff ? 'no longer protected' : 'protected: they cannot be deleted'}`,
      nothing: `${tags} were ${isOff ? 'not protected' : 'protected already'}`,
    });
  },
};

export const commands: readonly Command[] = [list, create, remove, history, protect];
