import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes names durable: a renamed file survives a crash only after its directory was synced.
 * Syncs of one directory that are asked for while one runs share the next one.
 */
export class Directories {
  readonly #known = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  /** Creates the directory and its parents, each durable in its parent. */
  async ensure(path: string): Promise<void> {
    if (this.#known.has(path)) return;
    try {
      await mkdir(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') {
        await this.ensure(dirname(path));
        return this.ensure(path);
      }
      if (code !== 'EEXIST') throw error;
    }
    // Also when it was there: whoever made it may have died before this. So may those who made what
    // lies beside it, which the same sync settles.
    const parent = dirname(path);
    const names = await readdir(parent);
    await this.sync(parent);
    for (const name of names) this.#known.add(`${parent}/${name}`);
  }

  /** ensure, at once. */
  ensureNow(path: string): void {
    if (this.#known.has(path)) return;
    const parent = dirname(path);
    try {
      mkdirSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') {
        this.ensureNow(parent);
        return this.ensureNow(path);
      }
      if (code !== 'EEXIST') throw error;
    }
    const names = readdirSync(parent);
    syncDirectoryNow(parent);
    for (const name of names) this.#known.add(`${parent}/${name}`);
  }

  /** Resolves once a sync that started after this call is done. */
  sync(path: string): Promise<void> {
    const running = this.#running.get(path);
    if (running === undefined) return this.#start(path);
    let next = this.#next.get(path);
    if (next === undefined) {
      const start = (): Promise<void> => {
        this.#next.delete(path);
        return this.#start(path);
      };
      next = running.then(start, start);
      this.#next.set(path, next);
    }
    return next;
  }

  #start(path: string): Promise<void> {
    const sync = syncDirectory(path).finally(() => {
      if (this.#running.get(path) === sync) this.#running.delete(path);
    });
    this.#running.set(path, sync);
    return sync;
  }
}

export function syncDirectoryNow(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
