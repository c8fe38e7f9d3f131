import { LRUCache } from 'lru-cache';
import { andThen, type MaybePromise } from '../../util/async.js';
import { keyFromText } from '../../model/path.js';
import type { Attributes, Errno, Filesystem } from '../../vfs/filesystem.js';

/** Paths whose attributes are kept: some 20 MB when full. */
const KEPT_MAX = 65_536;
const ROOT_INODE = 1;

/** libfuse 2 speaks in paths and the filesystem in inodes: this walks from one to the other. */
export class Paths {
  readonly #filesystem: Filesystem;
  readonly #signal: AbortSignal;
  readonly #kept = new LRUCache<string, Attributes>({ max: KEPT_MAX });

  constructor(filesystem: Filesystem, signal: AbortSignal) {
    this.#filesystem = filesystem;
    this.#signal = signal;
  }

  /** `path` starts with `/`, as libfuse gives it. */
  attributes(path: string): MaybePromise<Attributes | Errno> {
    const kept = this.#kept.get(path);
    if (kept !== undefined) return kept;
    return andThen(this.#walk(path), (found) => {
      if (typeof found !== 'string' && this.#filesystem.frozen) this.#kept.set(path, found);
      return found;
    });
  }

  #walk(path: string): MaybePromise<Attributes | Errno> {
    if (path === '/') return this.#filesystem.getattr(ROOT_INODE, this.#signal);
    const cut = path.lastIndexOf('/');
    const name = keyFromText(path.slice(cut + 1));
    return andThen(this.attributes(cut === 0 ? '/' : path.slice(0, cut)), (parent) =>
      typeof parent === 'string'
        ? parent
        : this.#filesystem.lookup(parent.inode, name, this.#signal),
    );
  }
}
