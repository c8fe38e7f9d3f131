import { parseRepositoryName } from '../../model/address.js';
import { ROOT_KEY } from '../../model/path.js';
import { TarnError } from '../../util/errors.js';
import { count, fields, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import type { RepositoryDetails } from '../protocol.js';
import { commitRow } from '../rows.js';
import { settingsAt } from './settings.js';

export const repoCreate: OperationHandler<'repo.create'> = {
  read: fields({ name: text, by: text }, { storage: text }),
  run: async ({ repositories, log }, { name, storage, by }) => {
    const made = await repositories.create(parseRepositoryName(name), storage, by);
    log.info('repository created', { ...made });
    return made;
  },
};

export const repoAdd: OperationHandler<'repo.add'> = {
  read: fields({ name: text, storage: text }),
  run: async ({ repositories, log }, { name, storage }) => {
    const added = await repositories.add(parseRepositoryName(name), storage);
    log.info('repository added', { ...added });
    return added;
  },
};

export const repoList: OperationHandler<'repo.list'> = {
  read: fields({}, { limit: count, after: text }),
  run: async ({ repositories }, { limit, after = '' }, output) => {
    const behind = repositories.list().filter(({ name }) => name > after);
    for (const known of behind.slice(0, limit)) await output.row(known);
    return {};
  },
};

export const repoShow: OperationHandler<'repo.show'> = {
  read: fields({ name: text }),
  run: async ({ repositories }, { name }, _output, signal) => {
    const known = repositories.known(parseRepositoryName(name));
    const repository = await repositories.open(name);
    let branches = 0;
    let head: Pick<RepositoryDetails, 'head' | 'entries' | 'bytes'> = {};
    for await (const ref of repository.listRefs('branch', { signal })) {
      branches += 1;
      if (ref.name !== 'main') continue;
      const view = await repository.commitView('main', ref.commit, signal);
      const totals = await view.totals(ROOT_KEY, signal);
      head = { head: commitRow(ref.commit, view.source.commit), ...totals };
    }
    const tags = await countOf(repository.listRefs('tag', { signal }));
    const settings = await settingsAt(repository, Infinity, signal);
    return { ...known, branches, tags, settings, ...head };
  },
};

export const repoDelete: OperationHandler<'repo.delete'> = {
  read: fields({ name: text }),
  run: async ({ repositories, workspaces, mounts, threads, log }, { name }) => {
    repositories.known(parseRepositoryName(name));
    const mounted = mounts.rows().find((row) => row.repository === name);
    if (mounted !== undefined) {
      throw new TarnError('busy', `repository '${name}' is mounted on '${mounted.directory}'`, {
        hint: `run 'tarn umount ${mounted.directory}' first`,
      });
    }
    await workspaces.close(name);
    const gone = await threads.exclusively(name, () => repositories.delete(name));
    log.info('repository deleted', { ...gone });
    return { ...gone, deleted: true };
  },
};

async function countOf(items: AsyncIterable<unknown>): Promise<number> {
  const iterator = items[Symbol.asyncIterator]();
  let count = 0;
  while ((await iterator.next()).done !== true) count += 1;
  return count;
}
