import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import { TarnError } from '../../util/errors.js';
import { serveJob } from '../../util/worker.js';
import type { Workspace } from '../workspace.js';
import { withJobContext } from './job-context.js';
import type { RemoveInput, RemoveResult } from './remove.js';

await serveJob<RemoveInput, never, RemoveResult>((input, signal) =>
  withJobContext(input, async ({ workspace }) => {
    let removed = 0;
    for (const path of input.paths) removed += await remove(workspace, path, input, signal);
    return { removed };
  }),
);

async function remove(
  workspace: Workspace,
  key: Key,
  { repository, branch, recursive }: RemoveInput,
  signal: AbortSignal,
): Promise<number> {
  const view = await workspace.view(signal);
  const canBeFile = key !== '' && !key.endsWith('/');
  if (canBeFile && (await view.get(key, signal)) !== undefined) {
    await workspace.remove(key, signal);
    return 1;
  }
  const prefix = canBeFile ? (`${key}/` as Key) : key;
  const { entries } = await view.totals(prefix, signal);
  if (recursive) {
    await workspace.removePrefix(prefix, signal);
    return entries;
  }
  if (entries > 0) {
    const place = `${repository}/${branch}/${keyToText(key)}`;
    throw new TarnError('is-directory', `'${place}' is a folder`, {
      hint: 'add -r to remove it with all below it',
    });
  }
  await workspace.remove(key, signal);
  return 0;
}
