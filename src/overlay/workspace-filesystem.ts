import { statfs } from 'node:fs/promises';
import { andThen, type MaybePromise } from '../util/async.js';
import { keyFromText, NAME_BYTES_MAX, ROOT_KEY, type Key } from '../model/path.js';
import type {
  Attributes,
  DirectorySink,
  Errno,
  FilesystemTotals,
  Handle,
  Inode,
  OpenedFile,
  SpecialKind,
} from '../vfs/filesystem.js';
import type { NodeSink } from '../vfs/living.js';
import type { HeldNodes, Resumable } from '../vfs/resuming.js';
import { isOurs, type Xattrs } from '../vfs/xattrs.js';
import type {
  AttributeChange,
  NewOwner,
  OpenAccess,
  RenameHow,
  RequestId,
  WritableDriverEvents,
  WritableFilesystem,
} from '../vfs/writable.js';
import { AttributeOperations } from './attribute-operations.js';
import type { StagedFile } from './bytes/staged-file.js';
import type { StateUpdate } from './change.js';
import { atomically } from './facts.js';
import { MountedOverlay } from './mounted-overlay.js';
import { NameOperations, type NewNode } from './name-operations.js';
import { attributesOf, type Owner } from './node-attributes.js';
import { xattrsOf } from './node-xattrs.js';
import { parentOf, type Node } from './nodes.js';
import { OpenHandles } from './open-handles.js';
import { OpenListings } from './open-listings.js';
import type { Overlay } from './overlay.js';

const READING: OpenAccess = { reads: true, writes: false, truncates: false, appends: false };

/**
 * A branch with what is staged on it and what programs changed, as one mount shows it. What it has of
 * its own are handles, and which inodes its kernel holds; all else is the overlay's, which other
 * mounts share.
 */
export class WorkspaceFilesystem extends MountedOverlay implements WritableFilesystem, Resumable {
  readonly frozen = false;
  readonly sourceName: string;

  readonly #owner: Owner;
  readonly #names: NameOperations;
  readonly #attributes: AttributeOperations;
  readonly #files: OpenHandles;
  readonly #listings: OpenListings;

  /** To be closed. */
  constructor(overlay: Overlay, owner: Owner) {
    super(overlay);
    this.#owner = owner;
    this.#names = new NameOperations(overlay);
    this.#attributes = new AttributeOperations(overlay);
    this.#files = new OpenHandles(overlay, () => this.driver);
    this.#listings = new OpenListings(overlay);
    const { repository, ref } = overlay.base.view.source;
    this.sourceName = `tarn://${repository}/${ref}`;
  }

  /** Lets go of all that the kernel held or had open. */
  close(): void {
    this.endListening();
    this.#files.releaseAll();
    this.#listings.releaseAll();
    this.held.clear();
  }

  connect(): void {
    // connectWriting has all that this would.
  }

  override connectWriting(driver: WritableDriverEvents): void {
    super.connectWriting(driver);
    this.#listings.notes = driver.notes;
  }

  resume(held: HeldNodes, firstHandle: Handle): boolean {
    this.#files.startAt(firstHandle);
    this.held.resume(held);
    return held.shown !== this.overlay.baseName;
  }

  /** Finds all that the kernel held when the filesystem was resumed, a part in each turn. */
  async recall(signal: AbortSignal): Promise<void> {
    await this.held.recallAll(signal);
  }

  reopen(
    handle: Handle,
    inode: Inode,
    access: OpenAccess,
    signal: AbortSignal,
  ): MaybePromise<OpenedFile | Errno> {
    return this.onFresh(inode, signal, (node) =>
      node.kind === 'file' ? this.#files.open(node, access, signal, handle) : 'ENXIO',
    );
  }

  reopendir(
    handle: Handle,
    inode: Inode,
    mark: number | undefined,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return this.onFresh(inode, signal, (node): Errno | undefined => {
      if (node.kind !== 'directory') return 'ENOTDIR';
      this.#listings.open(handle, node, mark);
      return undefined;
    });
  }

  take(inode: Inode, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    return this.onFresh(inode, signal, (node) => this.give(node));
  }

  lookup(parent: Inode, name: Key, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    if (name.length > NAME_BYTES_MAX) return 'ENAMETOOLONG';
    return this.onFresh(parent, signal, (directory) => {
      if (directory.kind !== 'directory') return 'ENOTDIR';
      if (name === '.') return this.give(directory);
      if (name === '..') return this.give(parentOf(directory) ?? directory);
      return andThen(this.overlay.child(directory, name, signal), (node) =>
        node === undefined ? 'ENOENT' : this.give(node),
      );
    });
  }

  getattr(inode: Inode, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    return this.onFresh(inode, signal, (node) => this.look(node));
  }

  readlink(inode: Inode, signal: AbortSignal): MaybePromise<{ target: Key } | Errno> {
    return this.onFresh(inode, signal, (node) => {
      if (node.kind !== 'symlink') return 'EINVAL';
      const target = node.state?.target;
      if (target !== undefined) return { target };
      return andThen(this.overlay.entryOf(node, signal), (entry) =>
        entry?.kind === 'symlink' ? { target: keyFromText(entry.target) } : 'ESTALE',
      );
    });
  }

  open(inode: Inode, signal: AbortSignal): MaybePromise<OpenedFile | Errno> {
    return this.openFor(inode, READING, signal);
  }

  openFor(inode: Inode, access: OpenAccess, signal: AbortSignal): MaybePromise<OpenedFile | Errno> {
    return this.onFresh(inode, signal, (node) => {
      if (node.kind === 'directory') return 'EISDIR';
      if (node.kind === 'symlink') return 'ELOOP';
      if (node.kind !== 'file') return 'ENXIO';
      return andThen(this.#files.open(node, access, signal), (opened) => {
        if (access.truncates) this.tellOthers(node);
        return opened;
      });
    });
  }

  create(
    parent: Inode,
    name: Key,
    owner: NewOwner,
    access: OpenAccess,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<{ readonly attributes: Attributes; readonly opened: OpenedFile } | Errno> {
    return this.onFresh(parent, signal, (directory) => {
      let staged: StagedFile | undefined;
      const { files } = this.overlay;
      const prepare = {
        before: (node: Node): StateUpdate => {
          staged = files.create(node);
          return { isStaged: true };
        },
        undo: (node: Node): void => {
          if (staged !== undefined) files.abandon(node, staged);
        },
      };
      const what: NewNode = { kind: 'file', owner };
      const made = this.#names.make(directory, name, what, this.by(request), signal, prepare);
      return andThen(made, (node) => {
        if (typeof node === 'string') return node;
        const opened = this.#files.openNew(node, staged as StagedFile, access);
        const attributes = this.give(node);
        if (attributes.own === undefined || this.overlay.isShared) return { attributes, opened };
        return { attributes: { ...attributes, own: { ...attributes.own, isNew: true } }, opened };
      });
    });
  }

  read(
    handle: Handle,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | Errno> {
    return this.#files.read(handle, offset, length, signal);
  }

  write(
    handle: Handle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): MaybePromise<number | Errno> {
    return this.#files.write(handle, offset, bytes, signal);
  }

  release(handle: Handle): void {
    const changed = this.#files.release(handle);
    if (changed !== undefined) this.tellOthers(changed);
  }

  fsync(handle: Handle, what: 'all' | 'data'): MaybePromise<undefined | Errno> {
    return this.#files.fsync(handle, what);
  }

  fsyncdir(handle: Handle): MaybePromise<undefined | Errno> {
    if (!this.#listings.has(handle)) return 'EBADF';
    return this.overlay.journal.sync().then(() => undefined);
  }

  fallocate(
    handle: Handle,
    mode: number,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return this.#files.fallocate(handle, mode, offset, length, signal);
  }

  seek(handle: Handle, offset: number, to: 'data' | 'hole'): MaybePromise<number | Errno> {
    return this.#files.seek(handle, offset, to);
  }

  copyRange(
    from: Handle,
    fromOffset: number,
    to: Handle,
    toOffset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<number | Errno> {
    return this.#files.copyRange(from, fromOffset, to, toOffset, length, signal);
  }

  opendir(inode: Inode, signal: AbortSignal): MaybePromise<{ handle: Handle } | Errno> {
    return this.onFresh(inode, signal, (node) => {
      if (node.kind !== 'directory') return 'ENOTDIR';
      const handle = this.#files.next();
      this.#listings.open(handle, node, undefined);
      return { handle };
    });
  }

  readdir(
    handle: Handle,
    offset: number,
    sink: DirectorySink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    const take = (name: Key, next: number, node: Node): boolean => {
      const { inode, kind, mode, size, mtimeSec, mtimeNsec, nlink } = this.look(node);
      const taken = sink.add(name, next, inode, kind, mode, size, mtimeSec, mtimeNsec, nlink);
      this.overlay.tidy(node);
      return taken;
    };
    return this.#listings.fill(handle, offset, take, signal);
  }

  readdirNodes(
    handle: Handle,
    offset: number,
    sink: NodeSink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    const take = (name: Key, next: number, node: Node): boolean => {
      const how = sink.addNode(name, next, this.look(node));
      if (how === 'held') this.held.hold(node);
      else this.overlay.tidy(node);
      return how !== 'full';
    };
    return this.#listings.fill(handle, offset, take, signal);
  }

  releasedir(handle: Handle): void {
    this.#listings.release(handle);
  }

  async statfs(signal: AbortSignal): Promise<FilesystemTotals> {
    const disk = await statfs(this.overlay.folder);
    const { entries, bytes } = await this.overlay.base.view.totals(ROOT_KEY, signal);
    const freeBytes = disk.bfree * disk.bsize;
    return {
      bytes: bytes + freeBytes,
      files: entries + disk.ffree,
      freeBytes,
      availableBytes: disk.bavail * disk.bsize,
      freeFiles: disk.ffree,
    };
  }

  getxattr(inode: Inode, name: Key, signal: AbortSignal): MaybePromise<Uint8Array | Errno> {
    if (!isOurs(name)) return 'ENOTSUP';
    return andThen(this.#xattrs(inode, signal), (xattrs) =>
      typeof xattrs === 'string' ? xattrs : (xattrs.get(name) ?? 'ENODATA'),
    );
  }

  listxattr(inode: Inode, signal: AbortSignal): MaybePromise<readonly Key[] | Errno> {
    return andThen(this.#xattrs(inode, signal), (xattrs) =>
      typeof xattrs === 'string' ? xattrs : [...xattrs.keys()],
    );
  }

  setxattr(
    inode: Inode,
    name: Key,
    value: Uint8Array,
    how: 'set' | 'create' | 'replace',
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno> {
    return this.onFresh(inode, signal, (node) =>
      this.#attributes.setXattr(node, name, value, how, this.by(request), signal),
    );
  }

  removexattr(
    inode: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno> {
    return this.onFresh(inode, signal, (node) =>
      this.#attributes.setXattr(node, name, undefined, 'set', this.by(request), signal),
    );
  }

  setattr(
    inode: Inode,
    change: AttributeChange,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno> {
    return this.onFresh(inode, signal, (node) =>
      andThen(
        this.#attributes.set(node, change, this.by(request), signal),
        (refused) => refused ?? this.look(node),
      ),
    );
  }

  makeDirectory(
    parent: Inode,
    name: Key,
    owner: NewOwner,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno> {
    return this.#make(parent, name, { kind: 'directory', owner }, signal, request);
  }

  makeNode(
    parent: Inode,
    name: Key,
    kind: SpecialKind | 'file',
    owner: NewOwner,
    device: number,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno> {
    const isDevice = kind === 'character' || kind === 'block';
    return this.#make(
      parent,
      name,
      { kind, owner, ...(isDevice ? { device } : {}) },
      signal,
      request,
    );
  }

  symlink(
    parent: Inode,
    name: Key,
    target: Key,
    owner: NewOwner,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno> {
    return this.#make(parent, name, { kind: 'symlink', owner, target }, signal, request);
  }

  link(
    inode: Inode,
    parent: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno> {
    return this.onFresh(inode, signal, (node) =>
      this.onFresh(parent, signal, (directory) =>
        andThen(
          this.#names.link(node, directory, name, this.by(request), signal),
          (refused) => refused ?? this.give(node),
        ),
      ),
    );
  }

  unlink(
    parent: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno> {
    return this.onFresh(parent, signal, (directory) =>
      this.#names.remove(directory, name, false, this.by(request), signal),
    );
  }

  removeDirectory(
    parent: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno> {
    return this.onFresh(parent, signal, (directory) =>
      this.#names.remove(directory, name, true, this.by(request), signal),
    );
  }

  rename(
    parent: Inode,
    name: Key,
    newParent: Inode,
    newName: Key,
    how: RenameHow,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno> {
    return this.onFresh(parent, signal, (from) =>
      this.onFresh(newParent, signal, (to) =>
        this.#names.rename(from, name, to, newName, how, this.by(request), signal),
      ),
    );
  }

  protected nextHandle(): Handle {
    return this.#files.next();
  }

  #make(
    parent: Inode,
    name: Key,
    what: NewNode,
    signal: AbortSignal,
    request: RequestId | undefined,
  ): MaybePromise<Attributes | Errno> {
    return this.onFresh(parent, signal, (directory) =>
      andThen(this.#names.make(directory, name, what, this.by(request), signal), (node) =>
        typeof node === 'string' ? node : this.give(node),
      ),
    );
  }

  #xattrs(inode: Inode, signal: AbortSignal): MaybePromise<Xattrs | Errno> {
    return this.onFresh(inode, signal, (node) =>
      atomically(this.overlay, signal, (facts) => xattrsOf(this.overlay, facts, node)),
    );
  }

  protected look(node: Node): Attributes {
    return attributesOf(this.overlay, node, this.#owner);
  }
}
