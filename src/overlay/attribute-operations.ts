import type { Key } from '../model/path.js';
import { andThen, type MaybePromise } from '../util/async.js';
import type { Errno } from '../vfs/filesystem.js';
import type { AttributeChange, Timestamp } from '../vfs/writable.js';
import { Change, type StateUpdate } from './change.js';
import { claim } from './claim.js';
import { atomically } from './facts.js';
import { changedXattrs, xattrsOf } from './node-xattrs.js';
import type { Caller } from './node-memory.js';
import type { Node } from './nodes.js';
import type { Overlay } from './overlay.js';
import { systemErrno } from './system-errno.js';

/** The calls that change attributes and lengths. */
export class AttributeOperations {
  readonly #overlay: Overlay;

  constructor(overlay: Overlay) {
    this.#overlay = overlay;
  }

  set(
    node: Node,
    change: AttributeChange,
    by: Caller,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    const { size } = change;
    if (size === undefined) return this.#setOthers(node, change, by, signal);
    if (node.kind !== 'file') return node.kind === 'directory' ? 'EISDIR' : 'EINVAL';
    return andThen(this.#setSize(node, size, by, signal), (refused) =>
      refused === undefined ? this.#setOthers(node, change, by, signal) : refused,
    );
  }

  setXattr(
    node: Node,
    name: Key,
    value: Uint8Array | undefined,
    how: 'set' | 'create' | 'replace',
    by: Caller,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return atomically(this.#overlay, signal, (facts) => {
      facts.fresh(node);
      if (node.kind !== 'file' && node.kind !== 'directory') return 'EPERM';
      const xattrs = changedXattrs(xattrsOf(this.#overlay, facts, node), name, value, how);
      if (typeof xattrs === 'string') return xattrs;
      const change = new Change(this.#overlay, by.request);
      claim(this.#overlay, facts, change, node);
      change.update(node, { xattrs, ...marking(node) });
      change.reach(node);
      change.commit();
      this.#overlay.tell(by.mount, (listener) => listener.nodeChanged(node.inode, false));
      return undefined;
    });
  }

  async #setSize(
    node: Node,
    size: number,
    by: Caller,
    signal: AbortSignal,
  ): Promise<undefined | Errno> {
    const { files } = this.#overlay;
    const open = files.attach(node, true);
    try {
      const refused = await files.stage(open, size === 0, signal);
      if (refused !== undefined) return refused;
      await open.staged?.truncate(size);
      this.#overlay.tell(by.mount, (listener) => listener.nodeChanged(node.inode, true));
      return undefined;
    } catch (error) {
      return systemErrno(error);
    } finally {
      files.detach(open, true);
    }
  }

  #setOthers(
    node: Node,
    { mode, uid, gid, atime, mtime }: AttributeChange,
    by: Caller,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    const given = [mode, uid, gid, atime, mtime];
    if (given.every((one) => one === undefined)) return undefined;
    if ((mode ?? uid ?? gid) === undefined && isKeptInBytes(node)) {
      this.#overlay.files.setTimes(node, atime, mtime);
      this.#overlay.tell(by.mount, (listener) => listener.nodeChanged(node.inode, false));
      return undefined;
    }
    return atomically(this.#overlay, signal, (facts) => {
      facts.fresh(node);
      const change = new Change(this.#overlay, by.request);
      claim(this.#overlay, facts, change, node);
      const update: StateUpdate = {};
      if (mode !== undefined) update.mode = mode & 0o7777;
      if (uid !== undefined) update.uid = uid;
      if (gid !== undefined) update.gid = gid;
      const isStaged = node.state?.isStaged === true;
      if (!isStaged && atime !== undefined) update.atime = timeOf(atime, change.now);
      if (!isStaged && mtime !== undefined) update.mtime = timeOf(mtime, change.now);
      const isVersioned = mode !== undefined || mtime !== undefined;
      change.update(node, { ...update, ...(isVersioned ? marking(node) : {}) });
      change.reach(node);
      change.commit();
      if (isStaged && (atime ?? mtime) !== undefined) {
        this.#overlay.files.setTimes(node, atime, mtime);
      }
      this.#overlay.tell(by.mount, (listener) => listener.nodeChanged(node.inode, false));
      return undefined;
    });
  }
}

/**
 * The times of a file that the base does not have are those of its staged file, all three of them: the
 * journal knows nothing of them.
 */
function isKeptInBytes({ state }: Node): boolean {
  return state?.isStaged === true && state.origin === undefined;
}

/** A directory of which a program said something that a commit keeps. */
function marking(node: Node): StateUpdate {
  return node.kind === 'directory' ? { isMarked: true } : {};
}

function timeOf(time: Timestamp | 'now', now: Timestamp): Timestamp {
  return time === 'now' ? now : time;
}
