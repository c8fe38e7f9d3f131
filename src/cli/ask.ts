import { userInfo } from 'node:os';
import type { CallOptions } from '../daemon/client.js';
import type { Arguments, OperationName, Result } from '../daemon/protocol.js';
import { call, isKeeperThere } from '../daemon/client.js';
import { TarnError } from '../util/errors.js';
import type { CommandContext } from './command.js';
import { UsageError } from './command.js';

/** Has the daemon do it; one is started if none runs. */
export async function ask<K extends OperationName>(
  context: CommandContext,
  name: K,
  args: Arguments<K>,
  options: CallOptions<K> = {},
): Promise<Result<K>> {
  const all = { ...options, signal: context.signal };
  const answer = await call(context.paths.socket, name, args, all);
  if (answer !== undefined) return answer.result;
  const { callStarting } = await import('../daemon/spawn.js');
  return callStarting(context.paths, name, args, all);
}

/** Has a running daemon do it; undefined when none runs, and none is about to go on with mounts. */
export async function askRunning<K extends OperationName>(
  context: CommandContext,
  name: K,
  args: Arguments<K>,
  options: CallOptions<K> = {},
): Promise<Result<K> | undefined> {
  const { paths, signal } = context;
  const all = { ...options, signal };
  const answer = await call(paths.socket, name, args, all);
  if (answer !== undefined) return answer.result;
  if (!(await isKeeperThere(paths.keeper))) return undefined;
  const { callStarting } = await import('../daemon/spawn.js');
  return callStarting(paths, name, args, all);
}

/**
 * Returns if the user wants `question` done.
 * @throws UsageError where nobody can be asked; TarnError aborted when the answer is no
 */
export async function confirm(
  context: CommandContext,
  isSure: boolean,
  question: string,
): Promise<void> {
  if (isSure) return;
  const answer = await context.terminal.confirm(question);
  if (answer === undefined) {
    throw new UsageError('this destroys something and nobody can be asked', 'add --yes to do it');
  }
  if (!answer) throw new TarnError('aborted', 'not done, as you wish');
}

/** Who works here, for commits and the history of refs. */
export function author(): string {
  const named = process.env['TARN_AUTHOR'];
  if (named !== undefined && named.trim() !== '') return named.trim();
  try {
    return userInfo().username;
  } catch {
    // A user id without a name, as in many containers.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
