import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, realpath, rm, stat, lstat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { asTarnError, TarnError } from '../util/errors.js';
import type { CommandContext } from './command.js';
import { UsageError } from './command.js';

/**
 * Absolute paths of what is to be put, with every symbolic link above the last component resolved.
 * A source that is itself a link stands for what it points to, as in `cp`.
 */
export async function resolveSources(
  sources: readonly string[],
  recursive: boolean,
): Promise<string[]> {
  const paths: string[] = [];
  for (const source of sources) {
    if (source.includes('\uFFFD')) {
      throw new TarnError('invalid', `the name '${source}' is not valid UTF-8`, {
        hint: 'rename it, or put the folder it is in: that names what cannot be put',
      });
    }
    const found = await stat(source).catch((error: unknown) => missing(source, error));
    if (found.isDirectory() && !recursive) {
      throw new TarnError('is-directory', `'${source}' is a folder`, {
        hint: 'add -r to put what is below it',
      });
    }
    const isLink = (await lstat(source)).isSymbolicLink();
    const parent = await realpath(dirname(resolve(source)));
    paths.push(
      isLink || found.isDirectory()
        ? await realpath(source)
        : join(parent, basename(resolve(source))),
    );
  }
  return paths;
}

function missing(source: string, error: unknown): never {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
    throw new TarnError('not-found', `there is no file or folder '${source}'`);
  }
  throw asTarnError(error, `looking at '${source}'`);
}

/** Keeps stdin in a private file, since its length must be known before it is stored. */
export async function spoolInput(
  context: CommandContext,
): Promise<{ path: string; remove(): Promise<void> }> {
  if (process.stdin.isTTY) {
    throw new UsageError("'-' reads stdin, and that is a terminal", 'pipe something in');
  }
  await mkdir(context.paths.spool, { recursive: true, mode: 0o700 });
  const name = `${process.pid}-${randomBytes(6).toString('hex')}`;
  const path = join(context.paths.spool, name);
  const remove = (): Promise<void> => rm(path, { force: true });
  try {
    const mode = 0o666 & ~process.umask();
    await pipeline(process.stdin, createWriteStream(path, { flags: 'wx', mode }), {
      signal: context.signal,
    });
  } catch (error) {
    await remove();
    throw asTarnError(error, 'keeping what comes in on stdin');
  }
  return { path, remove };
}
