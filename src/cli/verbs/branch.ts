import { parseBranchPatternAddress } from '../../model/address.js';
import { ask, author, confirm } from '../ask.js';
import type { Command } from '../command.js';
import { YES_OPTION } from '../command.js';
import { shortId } from '../../util/format.js';
import { PAGE_OPTIONS, pageOf } from '../paging.js';
import { BRANCH, branchOf, refIn } from '../places.js';
import { changeSettings, printChange } from '../settings.js';

const list: Command = {
  name: 'branch list',
  summary: 'List the branches of a repository',
  positionals: [{ name: 'REPO', what: 'the repository, as drive' }],
  options: PAGE_OPTIONS('branches', 'BRANCH'),
  examples: [
    { command: 'tarn branch list drive', what: 'names and newest commits' },
    { command: 'tarn branch list drive --after incident --limit 100', what: 'a page of them' },
  ],
  async run(input, context) {
    await ask(
      context,
      'branch.list',
      { repository: input.positionals[0] ?? '', ...pageOf(input) },
      {
        onRow: (row) => context.terminal.row(row, () => `${shortId(row.commit)}  ${row.name}`),
      },
    );
  },
};

const create: Command = {
  name: 'branch create',
  summary: 'Create a branch; nothing is copied',
  positionals: [BRANCH],
  options: { from: { value: 'REF', what: 'where it starts, as main~1 or golden; default main' } },
  examples: [
    {
      command: 'tarn branch create drive/incident-2025-06-14-8421-glare --from main',
      what: 'a branch for an incident',
    },
  ],
  async run(input, context) {
    const { repository, branch } = branchOf(input.positionals[0] ?? '');
    const from = refIn(repository, input.value('from') ?? 'main');
    const made = await ask(context, 'branch.create', {
      repository,
      name: branch,
      from,
      by: author(),
    });
    await context.terminal.result(
      made,
      `created branch ${repository}/${branch} at ${shortId(made.commit)}`,
    );
  },
};

const rename: Command = {
  name: 'branch rename',
  summary: 'Give a branch another name, with what is staged on it',
  positionals: [BRANCH, { name: 'NEW', what: 'its new name, bare or as drive/labels-v2' }],
  options: {},
  notes: [
    'Its commits stay as they are, and so do mounts of them. Refused while a put or commit runs on the repository.',
  ],
  examples: [
    { command: 'tarn branch rename drive/labels labels-v2', what: 'labels is free again' },
  ],
  async run(input, context) {
    const [given = '', wanted = ''] = input.positionals;
    const { repository, branch } = branchOf(given);
    const to = refIn(repository, wanted);
    const made = await ask(context, 'branch.rename', {
      repository,
      name: branch,
      to,
      by: author(),
    });
    await context.terminal.result(
      made,
      `renamed branch ${repository}/${branch} to ${repository}/${to}`,
    );
  },
};

const remove: Command = {
  name: 'branch delete',
  summary: 'Delete a branch; its commits stay reachable by their ids',
  positionals: [BRANCH],
  options: { yes: YES_OPTION },
  notes: ['What is staged on the branch and not committed is destroyed with it.'],
  examples: [{ command: 'tarn branch delete drive/labels-v2 --yes', what: 'without being asked' }],
  async run(input, context) {
    const { repository, branch } = branchOf(input.positionals[0] ?? '');
    const isSure = input.flag('yes');
    await confirm(context, isSure, `delete branch '${branch}' of '${repository}'?`);
    const gone = await ask(context, 'branch.delete', {
      repository,
      name: branch,
      by: author(),
    });
    await context.terminal.result(
      gone,
      `deleted branch ${repository}/${branch} (was ${shortId(gone.commit)})`,
    );
  },
};

const history: Command = {
  name: 'branch history',
  summary: 'List when a branch moved, who moved it and from where to where',
  positionals: [BRANCH],
  options: PAGE_OPTIONS('changes', 'NUMBER'),
  notes: [
    'Newest first, also of a branch that is gone. This record is what drive/main@{2025-06-14 17:30 Europe/Berlin} goes by, not the dates of commits. Times are UTC.',
  ],
  examples: [
    { command: 'tarn branch history drive/main --limit 10', what: 'the last ten moves' },
    {
      command: 'tarn branch history drive/incident-2025-06-14-8421-glare',
      what: 'the whole life of a branch',
    },
  ],
  async run(input, context) {
    const { repository, branch: name } = branchOf(input.positionals[0] ?? '');
    const args = { repository, name, ...pageOf(input) };
    await ask(context, 'branch.history', args, { onRow: (row) => printChange(context, row) });
  },
};

const protect: Command = {
  name: 'branch protect',
  summary: 'Let only merges change a branch, and keep it from deletion',
  positionals: [
    {
      name: 'REPO/BRANCH',
      what: "the branch, as drive/main, or a pattern of names, as 'drive/release-*'; it need not exist yet",
    },
  ],
  options: { off: { what: 'take the protection off' } },
  notes: [
    'A protected branch takes no commit, cherry-pick or reset, and is not deleted or renamed. It takes merges, and reverts since they undo one. What is staged on it stays staged. The settings of the repository record who protected it, and when.',
  ],
  examples: [
    { command: 'tarn branch protect drive/main', what: 'changed by merges only from now on' },
    { command: "tarn branch protect 'drive/release-*'", what: 'all branches of such names' },
    { command: 'tarn branch protect drive/main --off', what: 'free again' },
  ],
  async run(input, context) {
    const { repository, pattern } = parseBranchPatternAddress(input.positionals[0] ?? '');
    const isOff = input.flag('off');
    const edit = { kind: 'protect', what: 'branch', pattern, isOff } as const;
    await changeSettings(context, repository, edit, {
      done: `${repository}/${pattern} is ${isOff ? 'no longer protected' : 'protected: only merges change it'}`,
      nothing: `${repository}/${pattern} was ${isOff ? 'not protected' : 'protected already'}`,
    });
  },
};

export const commands: readonly Command[] = [list, create, rename, remove, history, protect];
