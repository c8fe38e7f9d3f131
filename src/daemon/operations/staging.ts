import type { Key } from '../../model/path.js';
import { keyToText, parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { TarnError } from '../../util/errors.js';
import { giveWay } from '../../util/give-way.js';
import { fields, flag, listOf, text } from '../arguments.js';
import { hasBelow, YIELD_EVERY } from '../listing.js';
import { directoryPrefix } from '../moment.js';
import type { OperationHandler } from '../operation.js';

export const rm: OperationHandler<'rm'> = {
  read: fields({ repository: text, branch: text, paths: listOf(text), recursive: flag }),
  run: async ({ repositories }, args, _output, signal) => {
    const { repository, branch, recursive } = args;
    const workspace = await repositories.workspace(repository, parseBranchName(branch));
    const keys = args.paths.map(parsePrefix);
    const view = await workspace.view(signal);
    const place = (key: Key): string => `${repository}/${branch}/${keyToText(key)}`;
    let removed = 0;
    for (const key of keys) {
      const isFile =
        key !== '' && !key.endsWith('/') && (await view.get(key, signal)) !== undefined;
      if (isFile) {
        await workspace.remove(key, signal);
        removed += 1;
        continue;
      }
      const prefix = directoryPrefix(key);
      if (!recursive && (await hasBelow(view.cursor(signal), prefix))) {
        throw new TarnError('is-directory', `'${place(key)}' is a folder`, {
          hint: 'add -r to remove it with all below it',
        });
      }
      const { entries } = await view.totals(prefix, signal);
      await (recursive ? workspace.removePrefix(prefix, signal) : workspace.remove(key, signal));
      removed += entries;
    }
    return { removed };
  },
};

export const status: OperationHandler<'status'> = {
  read: fields({ repository: text, branch: text }),
  run: async ({ repositories }, { repository, branch }, output, signal) => {
    const workspace = await repositories.workspace(repository, parseBranchName(branch));
    const { source } = await workspace.view(signal);
    const counts = { added: 0, changed: 0, removed: 0 };
    let rows = 0;
    for await (const { path, change, entries, size } of workspace.changes(signal)) {
      counts[change] += entries;
      rows += 1;
      if (rows % YIELD_EVERY === 0) await giveWay();
      await output.row({ path: keyToText(path), change, size });
    }
    return { branch, base: source.commitId, ...counts };
  },
};
