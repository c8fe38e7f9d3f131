import { parseRefExpression, reachOf } from '../model/refs.js';
import type { Resolved } from '../repo/resolve.js';
import type { Context } from './context.js';

/** Furthest back in commits that the event loop walks itself. */
const NEAR = 100;

/**
 * What a ref expression names; one that goes far back is left to a job's thread.
 * @throws TarnError as Repository.resolve
 */
export async function resolveRef(
  { repositories, threads }: Pick<Context, 'repositories' | 'threads'>,
  repository: string,
  ref: string,
  signal: AbortSignal,
): Promise<Resolved> {
  const expression = parseRefExpression(ref);
  if (reachOf(expression) > NEAR) return threads.run('resolve', { repository, ref }, { signal });
  return (await repositories.open(repository)).resolve(expression, signal);
}
