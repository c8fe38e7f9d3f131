import { parseTagAddress } from '../../model/address.js';
import { ask, author, confirm } from '../ask.js';
import type { Command, Positional } from '../command.js';
import { YES_OPTION } from '../command.js';
import { shortId } from '../format.js';
import { refIn } from '../places.js';

const TAG: Positional = { name: 'REPO/TAG', what: 'the tag, as drive/golden' };

const list: Command = {
  name: 'tag list',
  summary: 'List the tags of a repository',
  positionals: [{ name: 'REPO', what: 'the repository, as drive' }],
  options: {},
  examples: [{ command: 'tarn tag list drive', what: 'names and commits' }],
  async run(input, context) {
    await ask(
      context,
      'tag.list',
      { repository: input.positionals[0] ?? '' },
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

export const commands: readonly Command[] = [list, create, remove];
