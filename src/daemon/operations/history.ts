import { ROOT_KEY } from '../../model/path.js';
import type { RefKind } from '../../store/ref-store.js';
import { count, fields, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { commitRow } from '../rows.js';

export const log: OperationHandler<'log'> = {
  read: fields({ repository: text, ref: text }, { limit: count }),
  run: async ({ repositories }, { repository: name, ref, limit }, output, signal) => {
    const repository = await repositories.open(name);
    const { commitId } = await repository.resolve(ref, signal);
    const options = limit === undefined ? { signal } : { limit, signal };
    for await (const { id, commit } of repository.log(commitId, options)) {
      await output.row(commitRow(id, commit));
    }
    return {};
  },
};

export const show: OperationHandler<'show'> = {
  read: fields({ repository: text, ref: text }),
  run: async ({ repositories }, { repository: name, ref }, _output, signal) => {
    const repository = await repositories.open(name);
    const { commitId, commit } = await repository.resolve(ref, signal);
    const view = await repository.commitView(ref, commitId, signal);
    const totals = await view.totals(ROOT_KEY, signal);
    const names = async (kind: RefKind): Promise<string[]> => {
      const found: string[] = [];
      for await (const each of repository.listRefs(kind, { signal })) {
        if (each.commit === commitId) found.push(each.name);
      }
      return found;
    };
    const branches = await names('branch');
    return { ...commitRow(commitId, commit), ...totals, branches, tags: await names('tag') };
  },
};
