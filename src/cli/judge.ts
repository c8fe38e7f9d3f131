import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Verdict } from '../history/bisect.js';
import { throwIfAborted } from '../util/abort.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { ask } from './ask.js';
import type { CommandContext } from './command.js';
import { shortId } from '../util/format.js';

export interface Judge {
  readonly repository: string;
  /** Program and arguments; `{}` stands for the directory, or the commit's id. */
  readonly command: readonly string[];
  readonly isMounted: boolean;
}

export interface Judged {
  readonly verdict: Verdict;
  readonly exitCode: number;
}

const SKIP = 125;
/** An interrupted command that does not end by itself is killed after this. */
const KILL_AFTER_MS = 5_000;

/**
 * What the command says of a commit, which it finds mounted while it runs.
 * @throws TarnError invalid when the command cannot be run; aborted, also when it says neither
 */
export async function judgeCommit(
  context: CommandContext,
  judge: Judge,
  commit: string,
): Promise<Judged> {
  if (!judge.isMounted) return run(context, judge, commit);
  const outer = await mkdtemp(join(tmpdir(), 'tarn-bisect-'));
  const directory = join(outer, shortId(commit));
  await mkdir(directory);
  // A second Ctrl-C must not end this process before it has unmounted.
  const ignore = (): void => undefined;
  process.on('SIGINT', ignore).on('SIGTERM', ignore);
  // Mounting is not interrupted, so that it is known what there is to unmount.
  const unhurried = { ...context, signal: new AbortController().signal };
  try {
    const { repository } = judge;
    const mount = {
      repository,
      ref: commit,
      directory,
      driver: 'native',
      allowOther: false,
    } as const;
    await ask(unhurried, 'mount', mount);
    try {
      return await run(context, judge, directory);
    } finally {
      await unmount(unhurried, directory);
    }
  } finally {
    process.off('SIGINT', ignore).off('SIGTERM', ignore);
    await rmdir(directory);
    await rmdir(outer);
  }
}

/** What the command has left running does not keep the mount. */
async function unmount(context: CommandContext, directory: string): Promise<void> {
  try {
    await ask(context, 'umount', { directory, force: false });
  } catch (error) {
    if (asTarnError(error).kind !== 'busy') throw error;
    await ask(context, 'umount', { directory, force: true });
  }
}

async function run(
  { terminal, signal }: CommandContext,
  { command }: Judge,
  place: string,
): Promise<Judged> {
  throwIfAborted(signal);
  await terminal.flush();
  const [program = '', ...args] = command.map((part) => part.replaceAll('{}', place));
  // With --json stdout is for the result alone.
  const child = spawn(program, args, {
    stdio: ['inherit', terminal.json ? 2 : 'inherit', 'inherit'],
  });
  let kill: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    kill = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [code, by] = (await once(child, 'close')) as [number | null, string | null];
    throwIfAborted(signal);
    return verdictOf(program, code, by);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall?.startsWith('spawn') !== true) throw error;
    throw new TarnError('invalid', `'${program}' cannot be run: ${(error as Error).message}`, {
      hint: "give its path, as ./replay.sh, and see that it may be executed; what needs a shell goes behind 'sh -c'",
    });
  } finally {
    signal.removeEventListener('abort', stop);
    clearTimeout(kill);
  }
}

function verdictOf(program: string, code: number | null, by: string | null): Judged {
  if (code === 0) return { verdict: 'good', exitCode: code };
  if (code === SKIP) return { verdict: 'skip', exitCode: code };
  if (code !== null && code < SKIP) return { verdict: 'bad', exitCode: code };
  const how = code === null ? `was killed by ${by ?? 'a signal'}` : `ended with ${code}`;
  throw new TarnError('aborted', `'${program}' ${how}, which says neither good nor bad`, {
    hint: 'it must end with 0 for good, 1 to 124 for bad, 125 for a commit that cannot be judged',
  });
}
