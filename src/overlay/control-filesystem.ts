import { andThen, type MaybePromise } from '../util/async.js';
import type { Key } from '../model/path.js';
import type {
  Attributes,
  DirectorySink,
  Errno,
  Handle,
  Inode,
  OpenedFile,
} from '../vfs/filesystem.js';
import { ROOT_INODE } from '../vfs/inodes.js';
import type { NodeSink } from '../vfs/living.js';
import type { AttributeChange, OpenAccess, RenameHow, RequestId } from '../vfs/writable.js';
import type { Owner } from './node-attributes.js';
import type { Overlay } from './overlay.js';
import { WorkspaceFilesystem } from './workspace-filesystem.js';

/** What stands behind the files. */
export interface Controls {
  status(signal: AbortSignal): Promise<string>;
  log(signal: AbortSignal): Promise<string>;
  /** Never rejects. */
  commit(message: Uint8Array): Promise<CommitAnswer>;
}

export interface CommitAnswer {
  /** What is read from `commit` from now on. */
  readonly text: string;
  /** Why it was not done. */
  readonly errno?: Errno;
}

const NAME = '.tarn' as Key;
/** Numbers that no node of a workspace has: RESERVED_INODE_MAX. */
const DIRECTORY: Inode = 2;
const STATUS: Inode = 3;
const COMMIT: Inode = 4;
const LOG: Inode = 5;
const FILES: ReadonlyMap<Key, Inode> = new Map([
  ['commit' as Key, COMMIT],
  ['log' as Key, LOG],
  ['status' as Key, STATUS],
]);

const USAGE = `Write a message here, in one go, to commit what was changed; what came of it is read here.
Lines 'key: value' as the last paragraph of the message become metadata of the commit.
`;

const SECTOR_BYTES = 512;

/**
 * A workspace as a mount shows it, with the directory `.tarn` at its root, by which programs that have
 * no command line see what is staged and commit it. It is in no listing, and of no commit; where the
 * branch has an entry of that name it is not there.
 *
 * Each opening of a file that is read has the text of that moment, and each write is one message.
 */
export class ControlFilesystem extends WorkspaceFilesystem {
  readonly #controls: Controls;
  readonly #owner: Owner;
  readonly #madeSec = Math.floor(Date.now() / 1000);
  /** What was read or told last, whose size a file shows. */
  readonly #texts = new Map<Inode, Uint8Array>([[COMMIT, Buffer.from(USAGE)]]);
  readonly #open = new Map<Handle, Inode>();
  /** Of files that are open for reading. */
  readonly #read = new Map<Handle, Uint8Array>();

  constructor(overlay: Overlay, owner: Owner, controls: Controls) {
    super(overlay, owner);
    this.#controls = controls;
    this.#owner = owner;
  }

  override lookup(parent: Inode, name: Key, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    if (parent === DIRECTORY) {
      const inode = FILES.get(name);
      return inode === undefined ? 'ENOENT' : this.#attributes(inode);
    }
    const found = super.lookup(parent, name, signal);
    if (parent !== ROOT_INODE || name !== NAME) return found;
    return andThen(found, (node) => (node === 'ENOENT' ? this.#attributes(DIRECTORY) : node));
  }

  override getattr(inode: Inode, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    return isControl(inode) ? this.#attributes(inode) : super.getattr(inode, signal);
  }

  /** Truncating is how programs begin to write. */
  override setattr(
    inode: Inode,
    change: AttributeChange,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno> {
    if (!isControl(inode)) return super.setattr(inode, change, signal, request);
    const { mode, uid, gid } = change;
    const isKept = mode === undefined && uid === undefined && gid === undefined;
    return isKept && inode === COMMIT ? this.#attributes(inode) : 'EPERM';
  }

  override openFor(
    inode: Inode,
    access: OpenAccess,
    signal: AbortSignal,
  ): MaybePromise<OpenedFile | Errno> {
    if (!isControl(inode)) return super.openFor(inode, access, signal);
    if (inode === DIRECTORY) return 'EISDIR';
    if (access.writes && inode !== COMMIT) return 'EACCES';
    return andThen(access.reads ? this.#textOf(inode, signal) : undefined, (text) => {
      const handle = this.nextHandle();
      this.#open.set(handle, inode);
      if (text !== undefined) this.#read.set(handle, text);
      return { handle, isDirect: true };
    });
  }

  override read(
    handle: Handle,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | Errno> {
    if (!this.#open.has(handle)) return super.read(handle, offset, length, signal);
    return this.#read.get(handle)?.subarray(offset, offset + length) ?? 'EBADF';
  }

  /** A commit that has begun is made, whether or not the writer lives to see it. */
  override write(
    handle: Handle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): MaybePromise<number | Errno> {
    if (!this.#open.has(handle)) return super.write(handle, offset, bytes, signal);
    // The driver takes the buffer back.
    const message = Uint8Array.from(bytes);
    return this.#controls.commit(message).then(({ text, errno }) => {
      this.#texts.set(COMMIT, Buffer.from(text));
      return errno ?? message.length;
    });
  }

  override release(handle: Handle): void {
    if (!this.#open.delete(handle)) return super.release(handle);
    this.#read.delete(handle);
  }

  override fsync(handle: Handle, what: 'all' | 'data'): MaybePromise<undefined | Errno> {
    return this.#open.has(handle) ? undefined : super.fsync(handle, what);
  }

  override opendir(inode: Inode, signal: AbortSignal): MaybePromise<{ handle: Handle } | Errno> {
    if (!isControl(inode)) return super.opendir(inode, signal);
    if (inode !== DIRECTORY) return 'ENOTDIR';
    const handle = this.nextHandle();
    this.#open.set(handle, inode);
    return { handle };
  }

  override readdir(
    handle: Handle,
    offset: number,
    sink: DirectorySink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    if (!this.#open.has(handle)) return super.readdir(handle, offset, sink, signal);
    return this.#list(offset, (name, next, of) => {
      const { inode, kind, mode, size, mtimeSec, mtimeNsec, nlink } = of;
      return sink.add(name, next, inode, kind, mode, size, mtimeSec, mtimeNsec, nlink);
    });
  }

  override readdirNodes(
    handle: Handle,
    offset: number,
    sink: NodeSink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    if (!this.#open.has(handle)) return super.readdirNodes(handle, offset, sink, signal);
    return this.#list(offset, (name, next, of) => sink.addNode(name, next, of) !== 'full');
  }

  override releasedir(handle: Handle): void {
    if (!this.#open.delete(handle)) super.releasedir(handle);
  }

  override fsyncdir(handle: Handle): MaybePromise<undefined | Errno> {
    return this.#open.has(handle) ? undefined : super.fsyncdir(handle);
  }

  override getxattr(
    inode: Inode,
    name: Key,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | Errno> {
    return isControl(inode) ? 'ENODATA' : super.getxattr(inode, name, signal);
  }

  override listxattr(inode: Inode, signal: AbortSignal): MaybePromise<readonly Key[] | Errno> {
    return isControl(inode) ? [] : super.listxattr(inode, signal);
  }

  override removeDirectory(
    parent: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno> {
    return andThen(this.#isShown(parent, name, signal), (isShown) =>
      isShown ? 'EBUSY' : super.removeDirectory(parent, name, signal, request),
    );
  }

  override rename(
    parent: Inode,
    name: Key,
    newParent: Inode,
    newName: Key,
    how: RenameHow,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno> {
    return andThen(this.#isShown(parent, name, signal), (isSource) =>
      andThen(this.#isShown(newParent, newName, signal), (isTarget) =>
        isSource || isTarget
          ? 'EBUSY'
          : super.rename(parent, name, newParent, newName, how, signal, request),
      ),
    );
  }

  protected override whyUnknown(inode: Inode): Errno {
    return isControl(inode) ? 'EPERM' : super.whyUnknown(inode);
  }

  /** Whether the name is the control directory's. */
  #isShown(parent: Inode, name: Key, signal: AbortSignal): MaybePromise<boolean> {
    if (parent !== ROOT_INODE || name !== NAME) return false;
    return andThen(super.lookup(parent, name, signal), (found) => {
      if (typeof found !== 'string') this.forget(found.inode, 1);
      return found === 'ENOENT';
    });
  }

  #textOf(inode: Inode, signal: AbortSignal): MaybePromise<Uint8Array> {
    if (inode === COMMIT) return this.#texts.get(COMMIT) as Uint8Array;
    const asked = inode === STATUS ? this.#controls.status(signal) : this.#controls.log(signal);
    return asked.then((text) => {
      const bytes = Buffer.from(text);
      this.#texts.set(inode, bytes);
      return bytes;
    });
  }

  #list(
    offset: number,
    take: (name: Key, next: number, of: Attributes) => boolean,
  ): MaybePromise<undefined> {
    const own = this.#attributes(DIRECTORY);
    const all: (readonly [Key, Attributes])[] = [
      ['.' as Key, own],
      ['..' as Key, { ...own, inode: ROOT_INODE }],
      ...[...FILES].map(([name, inode]) => [name, this.#attributes(inode)] as const),
    ];
    for (const [at, [name, of]] of all.entries()) {
      if (at >= offset && !take(name, at + 1, of)) return undefined;
    }
    return undefined;
  }

  #attributes(inode: Inode): Attributes {
    const isDirectory = inode === DIRECTORY;
    const { uid, gid, umask } = this.#owner;
    const mode = isDirectory ? 0o555 : inode === COMMIT ? 0o644 : 0o444;
    const size = isDirectory ? 0 : (this.#texts.get(inode)?.length ?? 0);
    const time = this.#madeSec;
    return {
      inode,
      kind: isDirectory ? 'directory' : 'file',
      mode: mode & ~umask,
      size,
      mtimeSec: time,
      mtimeNsec: 0,
      nlink: isDirectory ? 2 : 1,
      own: {
        uid,
        gid,
        atimeSec: time,
        atimeNsec: 0,
        ctimeSec: time,
        ctimeNsec: 0,
        sectors: Math.ceil(size / SECTOR_BYTES),
        device: 0,
        isVolatile: true,
      },
    };
  }
}

function isControl(inode: Inode): boolean {
  return inode >= DIRECTORY && inode <= LOG;
}
