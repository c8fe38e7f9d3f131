import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import {
  chmod,
  constants,
  lstat,
  mkdir,
  open,
  rename,
  rm,
  symlink,
  utimes,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { GetRow, Problem } from '../daemon/protocol.js';
import { asTarnError, TarnError } from '../util/errors.js';

/** Not setuid, setgid and sticky: no repository makes a program that runs as someone else. */
const PERMISSIONS = 0o777;

/** A row's file on its way: under a temporary name until it is whole. */
interface Incoming {
  readonly row: GetRow;
  readonly path: string;
  readonly temporary: string;
  readonly file: FileHandle;
  left: number;
}

/**
 * Makes what a repository holds below one directory of this machine, and nothing outside of it: no
 * name climbs, and no symbolic link is written through. Files appear whole or not at all. What
 * cannot be made is noted and skipped.
 */
export class Receiver {
  readonly problems: Problem[] = [];
  files = 0;
  bytes = 0;
  readonly #root: string;
  readonly #overwrite: boolean;
  /** Directories below the root that were made or found to be real ones. */
  readonly #directories = new Set<string>();
  readonly #attributes: { path: string; row: GetRow }[] = [];
  #incoming: Incoming | undefined;

  /** @param root an existing directory */
  constructor(root: string, overwrite: boolean) {
    this.#root = root;
    this.#overwrite = overwrite;
  }

  async row(row: GetRow): Promise<void> {
    try {
      await this.#make(row);
    } catch (error) {
      const fault = asTarnError(error);
      if (fault.kind === 'no-space') throw fault;
      this.problems.push({ path: row.path, why: fault.message });
    }
  }

  /** Bytes of the file of the last row; dropped where that could not be made. */
  async content(bytes: Uint8Array): Promise<void> {
    const incoming = this.#incoming;
    if (incoming === undefined) return;
    try {
      await incoming.file.writeFile(bytes);
    } catch (error) {
      throw asTarnError(error, `writing ${incoming.path}`);
    }
    this.bytes += bytes.length;
    incoming.left -= bytes.length;
    if (incoming.left === 0) await this.#finish(incoming);
  }

  /** Folders get their modes and times last: making what is in them changes their times. */
  async done(): Promise<void> {
    for (const { path, row } of this.#attributes.reverse()) {
      await chmod(path, row.mode & PERMISSIONS);
      await utimes(path, seconds(row), seconds(row));
    }
  }

  /** Removes a file that did not become whole. */
  async abort(): Promise<void> {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    if (incoming === undefined) return;
    await incoming.file.close();
    await rm(incoming.temporary, { force: true });
  }

  async #make(row: GetRow): Promise<void> {
    const components = safeComponents(row.path);
    if (row.kind === 'directory') {
      const path = await this.#directory(components);
      this.#attributes.push({ path, row });
      return;
    }
    const parent = await this.#directory(components.slice(0, -1));
    const path = join(parent, components.at(-1) ?? '');
    await this.#checkFree(path);
    const temporary = join(parent, `.tarn-${randomBytes(6).toString('hex')}`);
    if (row.kind === 'symlink') {
      await symlink(Buffer.from(row.target ?? ''), temporary);
      await rename(temporary, path).catch(removing(temporary));
      this.files += 1;
      return;
    }
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(temporary, flags, 0o600);
    this.#incoming = { row, path, temporary, file, left: row.size };
    if (row.size === 0) await this.#finish(this.#incoming);
  }

  async #finish({ row, path, temporary, file }: Incoming): Promise<void> {
    await file.chmod(row.mode & PERMISSIONS);
    await file.utimes(seconds(row), seconds(row));
    await file.close();
    this.#incoming = undefined;
    await rename(temporary, path).catch(removing(temporary));
    this.files += 1;
  }

  /** Makes the directories of `components` where missing; each must be a real one. */
  async #directory(components: readonly string[]): Promise<string> {
    let path = this.#root;
    for (const component of components) {
      path = join(path, component);
      if (this.#directories.has(path)) continue;
      await mkdir(path).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
        if ((await lstat(path)).isDirectory()) return;
        throw new TarnError('not-directory', `'${path}' is in the way: it is not a folder`);
      });
      this.#directories.add(path);
    }
    return path;
  }

  async #checkFree(path: string): Promise<void> {
    const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) return;
    if (found.isDirectory()) throw new TarnError('is-directory', `'${path}' is a folder here`);
    if (this.#overwrite) return;
    throw new TarnError('exists', `'${path}' exists (--force overwrites)`);
  }
}

function safeComponents(path: string): string[] {
  const components = path
    .split('/')
    .filter((_, index, all) => index < all.length - 1 || all[index] !== '');
  for (const component of components) {
    if (component === '' || component === '.' || component === '..' || component.includes('\0')) {
      throw new TarnError('invalid', `no file system can hold a component '${component}'`);
    }
  }
  return components;
}

function removing(temporary: string): (error: unknown) => Promise<never> {
  return async (error) => {
    await rm(temporary, { force: true });
    throw error;
  };
}

function seconds({ mtimeSec, mtimeNsec }: GetRow): number {
  return mtimeSec + mtimeNsec / 1e9;
}
