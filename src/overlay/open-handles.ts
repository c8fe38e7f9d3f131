import { andThen, isPromise, type MaybePromise } from '../util/async.js';
import type { Content } from '../repo/content.js';
import type {
  DriverEvents,
  Errno,
  Handle,
  Inode,
  OpenedFile,
  StagedBacking,
} from '../vfs/filesystem.js';
import { OpenFile } from '../vfs/open-file.js';
import type { OpenAccess } from '../vfs/writable.js';
import { shareRange } from './beneath.js';
import type { BaseBytes } from './bytes/base-bytes.js';
import {
  FALLOCATE_KEEP_SIZE,
  FALLOCATE_PUNCH_HOLE,
  FALLOCATE_ZERO_RANGE,
} from './bytes/file-calls.js';
import type { StagedFile } from './bytes/staged-file.js';
import { COPY_BYTES_MAX } from './bytes/staged-folder.js';
import type { FileWatcher, OpenNode } from './file-table.js';
import type { Node } from './nodes.js';
import type { Overlay } from './overlay.js';
import { systemErrno } from './system-errno.js';

const FALLOCATE_KNOWN = FALLOCATE_KEEP_SIZE | FALLOCATE_PUNCH_HOLE | FALLOCATE_ZERO_RANGE;

/** Where a mount's driver is told of its open files. */
export interface OpenFileEvents extends DriverEvents {
  nodeStaged(inode: Inode, staged: StagedBacking): void;
}

interface FileHandle {
  readonly handle: Handle;
  readonly open: OpenNode;
  readonly access: OpenAccess;
  /** The thread that opened it and may be about to copy what is committed of it. */
  readonly copier: number | undefined;
  /** Of what the base has: all of a file that is not staged, or what shows through a partial one. */
  base:
    { readonly content: Content; readonly bytes: BaseBytes; readonly file: OpenFile } | undefined;
}

/** The open files of one mount. */
export class OpenHandles implements FileWatcher {
  readonly #overlay: Overlay;
  readonly #driver: () => OpenFileEvents | undefined;
  readonly #handles = new Map<Handle, FileHandle>();
  /** Threads that have committed files open, and how many, which they may be about to copy. */
  readonly #copiers = new Map<number, number>();
  #last: Handle = 0;

  constructor(overlay: Overlay, driver: () => OpenFileEvents | undefined) {
    this.#overlay = overlay;
    this.#driver = driver;
  }

  /** Handles from here on are higher. */
  startAt(handle: Handle): void {
    this.#last = handle;
  }

  next(): Handle {
    this.#last += 1;
    return this.#last;
  }

  nodeOf(handle: Handle): Node | undefined {
    return this.#handles.get(handle)?.open.node;
  }

  /**
   * The node was refreshed.
   * @param known the handle, where it has one already
   */
  open(
    node: Node,
    access: OpenAccess,
    signal: AbortSignal,
    known?: Handle,
  ): MaybePromise<OpenedFile | Errno> {
    const { files } = this.#overlay;
    const changes = access.writes || access.truncates;
    const open = files.attach(node, changes);
    if (open.handles === 1) open.isAsked = access.truncates && this.#mayCopy(access);
    // Who opens for writing is refused by the kernel; who only truncates it asks us before it looks.
    if (access.truncates && !access.writes && open.executions > 0) {
      files.detach(open, changes);
      return 'ETXTBSY';
    }
    const fail = (error: unknown): never => {
      files.detach(open, changes);
      throw error;
    };
    const finish = (result: OpenedFile | Errno): OpenedFile | Errno => {
      if (typeof result === 'string') files.detach(open, changes);
      return result;
    };
    try {
      const result =
        changes || node.state?.isStaged === true
          ? this.#openStaged(open, access, signal, known)
          : this.#openBase(open, access, signal, known);
      return isPromise(result) ? result.then(finish, fail) : finish(result);
    } catch (error) {
      return fail(error);
    }
  }

  /** Of a file that was just made. */
  openNew(node: Node, staged: StagedFile, access: OpenAccess): OpenedFile {
    const open = this.#overlay.files.attachNew(node, staged);
    open.isAsked = this.#mayCopy(access);
    return this.#hold(open, { ...access, writes: true }, undefined);
  }

  staged(node: Node, staged: StagedBacking): void {
    this.#driver()?.nodeStaged(node.inode, staged);
  }

  read(
    handle: Handle,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | Errno> {
    const found = this.#handles.get(handle);
    if (found === undefined) return 'EBADF';
    const { staged } = found.open;
    if (staged !== undefined) return staged.read(offset, length, this.#baseOf(found), signal);
    return found.base?.file.read(offset, length, signal) ?? 'EBADF';
  }

  write(
    handle: Handle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): MaybePromise<number | Errno> {
    const written = this.#written(handle);
    if (written === undefined) return 'EBADF';
    const { found, staged } = written;
    return answered(() => {
      const at = found.access.appends ? staged.stat().size : offset;
      return staged.write(at, bytes, this.#baseOf(found), signal);
    });
  }

  async fsync(handle: Handle, what: 'all' | 'data'): Promise<undefined | Errno> {
    const found = this.#handles.get(handle);
    if (found === undefined) return 'EBADF';
    const { node, staged } = found.open;
    if (what === 'data' && node.stored !== undefined) {
      // After a power cut other bytes could have the times of those that are stored.
      this.#overlay.journal.write({ dropStored: [node.inode] });
      node.stored = undefined;
    }
    await staged?.sync(what);
    await this.#overlay.journal.sync();
    return undefined;
  }

  fallocate(
    handle: Handle,
    mode: number,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    if ((mode & ~FALLOCATE_KNOWN) !== 0) return 'ENOTSUP';
    const written = this.#written(handle);
    if (written === undefined) return 'EBADF';
    const { found, staged } = written;
    return answered(() =>
      andThen(staged.allocate(mode, offset, length, this.#baseOf(found), signal), () => undefined),
    );
  }

  seek(handle: Handle, offset: number, to: 'data' | 'hole'): number | Errno {
    const found = this.#handles.get(handle);
    if (found === undefined) return 'EBADF';
    if (found.open.staged !== undefined) return found.open.staged.seek(offset, to);
    const size = found.base?.bytes.size ?? 0;
    if (offset >= size) return 'ENXIO';
    return to === 'data' ? offset : size;
  }

  copyRange(
    from: Handle,
    fromOffset: number,
    to: Handle,
    toOffset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<number | Errno> {
    const source = this.#handles.get(from);
    const written = this.#written(to);
    if (source === undefined || written === undefined) return 'EBADF';
    const { found, staged } = written;
    const file = source.open.staged;
    const base = this.#baseOf(source);
    const copied = { open: source.open, content: source.base?.content };
    const share = (): MaybePromise<number> =>
      fromOffset === toOffset
        ? shareRange(this.#overlay, copied, found.open, toOffset, length, signal)
        : 0;
    return answered(() =>
      andThen(share(), (shared) => {
        if (shared > 0) return shared;
        const bytes = { ...(file && { file }), base, offset: fromOffset };
        return staged.copyFrom(bytes, toOffset, length, this.#baseOf(found), signal);
      }),
    );
  }

  /** The node of a handle that could write, which others may have kept something of. */
  release(handle: Handle): Node | undefined {
    const found = this.#handles.get(handle);
    if (found === undefined) return undefined;
    this.#handles.delete(handle);
    found.base?.file.release();
    const { open, access } = found;
    if (access.executes === true) open.executions -= 1;
    this.#countCopier(found.copier, -1);
    const watching = (open.watchers.get(this) ?? 1) - 1;
    if (watching > 0) open.watchers.set(this, watching);
    else open.watchers.delete(this);
    const changed = access.writes || access.truncates;
    const { node } = open;
    this.#overlay.files.detach(open, changed);
    return changed ? node : undefined;
  }

  releaseAll(): void {
    for (const handle of [...this.#handles.keys()]) this.release(handle);
  }

  #openStaged(
    open: OpenNode,
    access: OpenAccess,
    signal: AbortSignal,
    known: Handle | undefined,
  ): MaybePromise<OpenedFile | Errno> {
    const staged = this.#overlay.files.stage(open, access.truncates, signal);
    return andThen(staged, (refused) => refused ?? this.#hold(open, access, undefined, known));
  }

  #openBase(
    open: OpenNode,
    access: OpenAccess,
    signal: AbortSignal,
    known: Handle | undefined,
  ): MaybePromise<OpenedFile | Errno> {
    const { node } = open;
    return andThen(this.#overlay.entryOf(node, signal), (entry) => {
      const key = this.#overlay.keyOf(node);
      // A new file that nobody wrote to.
      if (entry === undefined || key === undefined) {
        return this.#openStaged(open, access, signal, known);
      }
      const { files } = this.#overlay;
      return files.openContent(key, entry).then((base) => {
        if (open.staged === undefined) return this.#hold(open, access, base, known);
        base.content.close();
        return this.#hold(open, access, undefined, known);
      });
    });
  }

  #hold(
    open: OpenNode,
    access: OpenAccess,
    base: Awaited<ReturnType<Overlay['files']['openContent']>> | undefined,
    known?: Handle,
  ): OpenedFile {
    const handle = known ?? this.next();
    const committedBytes = (base ?? open.base)?.content.size ?? 0;
    const isWorthIt = access.reads && committedBytes > COPY_BYTES_MAX;
    const copier = isWorthIt ? access.thread : undefined;
    const held: FileHandle = { handle, open, access, copier, base: undefined };
    this.#handles.set(handle, held);
    this.#countCopier(copier, 1);
    if (access.executes === true) open.executions += 1;
    open.watchers.set(this, (open.watchers.get(this) ?? 0) + 1);
    if (base === undefined) {
      const staged = this.#overlay.files.backingOf(open);
      return staged === undefined ? { handle } : { handle, staged };
    }
    const { content } = base;
    const file = new OpenFile(handle, content, base.backing, this.#driver);
    held.base = { content, bytes: bytesOf(content, file), file };
    const { backing } = file.opened;
    // It may get a staged file while it is open, to which a kernel's own reading could not follow.
    return backing === undefined ? { handle } : { handle, backing: { ...backing, exact: false } };
  }

  /** For one handle, so that the driver is told what may be read through that. */
  #baseOf(found: FileHandle): BaseBytes | undefined {
    if (found.base !== undefined) return found.base.bytes;
    const shared = found.open.base;
    if (shared === undefined) return undefined;
    const { id, size } = shared.content;
    const fetch = shared.content.fetch?.bind(shared.content);
    const content: Content = {
      id,
      size,
      read: (offset, length, signal) => shared.content.read(offset, length, signal),
      ...(fetch === undefined ? {} : { fetch }),
      backing: () => shared.backing,
      close: () => {},
    };
    const file = new OpenFile(found.handle, content, shared.backing, this.#driver);
    found.base = { content, bytes: bytesOf(content, file), file };
    return found.base.bytes;
  }

  #mayCopy({ thread }: OpenAccess): boolean {
    return thread !== undefined && this.#copiers.has(thread);
  }

  #countCopier(thread: number | undefined, change: 1 | -1): void {
    if (thread === undefined) return;
    const count = (this.#copiers.get(thread) ?? 0) + change;
    if (count > 0) this.#copiers.set(thread, count);
    else this.#copiers.delete(thread);
  }

  #written(handle: Handle): { found: FileHandle; staged: StagedFile } | undefined {
    const found = this.#handles.get(handle);
    const staged = found?.open.staged;
    if (found === undefined || staged === undefined || !found.access.writes) return undefined;
    return { found, staged };
  }
}

function bytesOf({ size }: Content, file: OpenFile): BaseBytes {
  const never = new AbortController().signal;
  const { backing } = file.opened;
  const local = backing?.verified === true ? { fd: backing.fd, offset: backing.offset } : undefined;
  return {
    size,
    ...(local && { local }),
    read: (offset, length, signal = never) => file.read(offset, length, signal),
  };
}

function answered<T>(work: () => MaybePromise<T>): MaybePromise<T | Errno> {
  try {
    const result = work();
    return isPromise(result) ? result.catch(systemErrno) : result;
  } catch (error) {
    return systemErrno(error);
  }
}
