import { LRUCache } from 'lru-cache';
import { andThen, type MaybePromise } from '../../util/async.js';
import { keyFromText, type Key } from '../../model/path.js';
import type { Attributes, Errno, Filesystem, Inode } from '../../vfs/filesystem.js';
import { isHolding, type HoldingFilesystem } from '../../vfs/living.js';

/** Paths whose attributes are kept: some 20 MB when full. */
const KEPT_MAX = 65_536;
const ROOT_INODE = 1;

/** libfuse 2 speaks in paths, which start with `/`, and the filesystem in inodes. */
export interface Paths {
  /** What `ask` says of the node that is at the path. */
  at<T>(
    path: string,
    ask: (attributes: Attributes) => MaybePromise<T | Errno>,
  ): MaybePromise<T | Errno>;
}

export function pathsOf(filesystem: Filesystem, signal: AbortSignal): Paths {
  return isHolding(filesystem)
    ? new HeldPaths(filesystem, signal)
    : new KeptPaths(filesystem, signal);
}

/** Of a filesystem that keeps no lookup counts; what never changes is remembered. */
class KeptPaths implements Paths {
  readonly #filesystem: Filesystem;
  readonly #signal: AbortSignal;
  readonly #kept = new LRUCache<string, Attributes>({ max: KEPT_MAX });

  constructor(filesystem: Filesystem, signal: AbortSignal) {
    this.#filesystem = filesystem;
    this.#signal = signal;
  }

  at<T>(
    path: string,
    ask: (attributes: Attributes) => MaybePromise<T | Errno>,
  ): MaybePromise<T | Errno> {
    return andThen(this.#attributes(path), (found) =>
      typeof found === 'string' ? found : ask(found),
    );
  }

  #attributes(path: string): MaybePromise<Attributes | Errno> {
    const kept = this.#kept.get(path);
    if (kept !== undefined) return kept;
    return andThen(this.#walk(path), (found) => {
      if (typeof found !== 'string' && this.#filesystem.frozen) this.#kept.set(path, found);
      return found;
    });
  }

  #walk(path: string): MaybePromise<Attributes | Errno> {
    if (path === '/') return this.#filesystem.getattr(ROOT_INODE, this.#signal);
    const [parent, name] = split(path);
    return andThen(this.#attributes(parent), (found) =>
      typeof found === 'string' ? found : this.#filesystem.lookup(found.inode, name, this.#signal),
    );
  }
}

/** Each walk looks everything up, holds it until the answer is there, and lets it go. */
export class HeldPaths implements Paths {
  readonly #filesystem: HoldingFilesystem;
  readonly #signal: AbortSignal;

  constructor(filesystem: HoldingFilesystem, signal: AbortSignal) {
    this.#filesystem = filesystem;
    this.#signal = signal;
  }

  async at<T>(
    path: string,
    ask: (attributes: Attributes) => MaybePromise<T | Errno>,
  ): Promise<T | Errno> {
    if (path === '/') {
      const root = await this.#filesystem.getattr(ROOT_INODE, this.#signal);
      return typeof root === 'string' ? root : ask(root);
    }
    const [above, name] = split(path);
    return this.#below(above, async (parent) => {
      const found = await this.#filesystem.lookup(parent, name, this.#signal);
      if (typeof found === 'string') return found;
      try {
        return await ask(found);
      } finally {
        this.#filesystem.forget(found.inode, 1);
      }
    });
  }

  /** What `ask` says of the name and the directory that it is in, or is to be in. */
  in<T>(
    path: string,
    ask: (parent: Inode, name: Key) => MaybePromise<T | Errno>,
  ): Promise<T | Errno> {
    const [above, name] = split(path);
    return this.#below(above, (parent) => ask(parent, name));
  }

  async #below<T>(
    path: string,
    ask: (inode: Inode) => MaybePromise<T | Errno>,
  ): Promise<T | Errno> {
    if (path === '/') return ask(ROOT_INODE);
    return this.at(path, ({ inode }) => ask(inode));
  }
}

function split(path: string): [parent: string, name: Key] {
  const cut = path.lastIndexOf('/');
  return [cut === 0 ? '/' : path.slice(0, cut), keyFromText(path.slice(cut + 1))];
}
