import { keyFromText, NAME_BYTES_MAX, ROOT_KEY, type Key } from '../model/path.js';
import type { Entry } from '../model/entry.js';
import type { Backing, Content } from '../repo/content.js';
import type { FrozenView } from '../repo/view.js';
import { andThen, isPromise, type MaybePromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import { NLINK } from './attributes.js';
import type { Base } from './base.js';
import type {
  Attributes,
  DirectorySink,
  DriverEvents,
  Errno,
  FilesystemTotals,
  Handle,
  Inode,
  OpenedFile,
} from './filesystem.js';
import { FollowingNodes, type FollowedNode } from './following-nodes.js';
import { hash52 } from './inodes.js';
import type { LivingFilesystem, NodeSink } from './living.js';
import { aliasesOf } from './names.js';
import { OpenFile } from './open-file.js';
import type { DirectoryWalk } from './walk.js';
import { directoryXattrs, entryXattrs, isOurs, rootXattrs, type Xattrs } from './xattrs.js';

/** Positions in a listing: 0 is before `.`, then these, then 3 + the ordinal to go on from. */
const AFTER_DOT = 1;
const AFTER_DOT_DOT = 2;
const FIRST_ORDINAL = 3;
/** Keys told of between two turns of the event loop. */
const KEYS_A_TURN = 500;

const NEVER = new AbortController().signal;

/** An open directory: its names are those of one commit, however long they are read. */
interface OpenListing {
  readonly node: FollowedNode;
  base: Base;
}

/** Takes a name that is the present one of its node, or else only a name; false when it has no room. */
interface TakeName {
  node(name: Key, next: number, node: FollowedNode): boolean;
  name(name: Key, next: number, inode: Inode, kind: Attributes['kind']): boolean;
}

/** A name that a kernel has to look up again. */
interface Stop {
  readonly directory: FollowedNode;
  readonly name: Key;
  /** A file of that name shows, or showed, beside a directory (SEMANTICS.md, N4). */
  readonly mayHaveAlias: boolean;
}

/**
 * A branch that cannot be written through this mount and that shows each new commit of it. Nodes are
 * never changed but replaced (FollowedNode), so what a kernel keeps of a file is right for ever, and
 * all it has to be told of are names.
 */
export class FollowingFilesystem implements LivingFilesystem {
  readonly frozen = false;
  readonly sourceName: string;

  readonly #nodes: FollowingNodes;
  readonly #files = new Map<Handle, { readonly node: FollowedNode; readonly file: OpenFile }>();
  readonly #listings = new Map<Handle, OpenListing>();
  #lastHandle: Handle = 0;
  #driver: DriverEvents | undefined;

  constructor(view: FrozenView) {
    this.#nodes = new FollowingNodes(view);
    const { repository, ref } = view.source;
    this.sourceName = `tarn://${repository}/${ref}`;
  }

  connect(driver: DriverEvents): void {
    this.#driver = driver;
  }

  /** Nodes in memory: those that somebody holds, and what is above them. */
  get nodesInMemory(): number {
    return this.#nodes.size;
  }

  /**
   * Shows another commit from now on, and tells the kernel of the names that it has to look up again;
   * it has heard of them in the end.
   * @param keys where the commit differs from the one before, in their order
   */
  async follow(view: FrozenView, keys: AsyncIterable<Key> | Iterable<Key>): Promise<void> {
    this.#nodes.moveTo(view);
    const passed = new Set<FollowedNode>();
    let last: Stop | undefined;
    let seen = 0;
    for await (const key of keys) {
      const stop = this.#stopOf(key, passed);
      // All that is new below a name that nobody knows is one change.
      const isTold =
        stop.directory === last?.directory &&
        stop.name === last.name &&
        stop.mayHaveAlias === last.mayHaveAlias;
      if (!isTold) this.#tell(stop);
      last = stop;
      seen += 1;
      if (seen % KEYS_A_TURN === 0) await giveWay();
    }
    // Directories are there as long as something is in them.
    for (const node of passed) {
      await this.#nodes.refresh(node, NEVER);
      const { parent, name } = node;
      if (node.isGone && parent !== undefined) {
        this.#tell({ directory: parent, name, mayHaveAlias: true });
      }
    }
    await this.#driver?.heard();
  }

  forget(inode: Inode, times: number): void {
    const node = this.#nodes.node(inode);
    if (node?.parent !== undefined) this.#nodes.letGo(node, times);
  }

  lookup(parent: Inode, name: Key, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    if (name.length > NAME_BYTES_MAX) return 'ENAMETOOLONG';
    return this.#on(parent, signal, (directory) => {
      if (!directory.isDirectory) return 'ENOTDIR';
      if (name === '.') return this.#give(directory);
      if (name === '..') return this.#give(directory.parent ?? directory);
      if (name === '' || name.includes('/') || name.includes('\0')) return 'ENOENT';
      return andThen(this.#nodes.child(directory, name, signal), (node) =>
        node === undefined ? 'ENOENT' : this.#give(node),
      );
    });
  }

  getattr(inode: Inode, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    return this.#on(inode, signal, attributesOf);
  }

  readlink(inode: Inode, signal: AbortSignal): MaybePromise<{ target: Key } | Errno> {
    return this.#onLeaf(inode, 'EINVAL', signal, (_node, entry) =>
      entry.kind === 'symlink' ? { target: keyFromText(entry.target) } : 'EINVAL',
    );
  }

  open(inode: Inode, signal: AbortSignal): MaybePromise<OpenedFile | Errno> {
    return this.#onLeaf(inode, 'EISDIR', signal, (node, entry) => {
      if (entry.kind === 'symlink') return 'ELOOP';
      return andThen(node.base.view.open(node.key, entry), (content) =>
        this.#opened(node, content),
      );
    });
  }

  read(
    handle: Handle,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | Errno> {
    return this.#files.get(handle)?.file.read(offset, length, signal) ?? 'EBADF';
  }

  release(handle: Handle): void {
    const open = this.#files.get(handle);
    if (open === undefined) return;
    this.#files.delete(handle);
    open.file.release();
    this.#nodes.letGo(open.node);
  }

  opendir(inode: Inode, signal: AbortSignal): MaybePromise<{ handle: Handle } | Errno> {
    return this.#on(inode, signal, (node) => {
      if (!node.isDirectory) return 'ENOTDIR';
      const handle = this.#nextHandle();
      this.#nodes.hold(node);
      this.#listings.set(handle, { node, base: this.#nodes.baseOf(node) });
      return { handle };
    });
  }

  readdir(
    handle: Handle,
    offset: number,
    sink: DirectorySink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return this.#list(handle, offset, signal, {
      node: (name, next, node) => {
        const { kind, mode, size, mtimeSec, mtimeNsec } = node.look;
        const { inode } = node;
        this.#nodes.tidy(node);
        return sink.add(name, next, inode, kind, mode, size, mtimeSec, mtimeNsec, NLINK);
      },
      name: (name, next, inode, kind) => sink.addName(name, next, inode, kind),
    });
  }

  readdirNodes(
    handle: Handle,
    offset: number,
    sink: NodeSink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return this.#list(handle, offset, signal, {
      node: (name, next, node) => {
        const how = sink.addNode(name, next, attributesOf(node));
        if (how === 'held') this.#nodes.hold(node);
        else this.#nodes.tidy(node);
        return how !== 'full';
      },
      name: (name, next, inode, kind) => sink.addName(name, next, inode, kind),
    });
  }

  releasedir(handle: Handle): void {
    const open = this.#listings.get(handle);
    this.#listings.delete(handle);
    if (open !== undefined) this.#nodes.letGo(open.node);
  }

  statfs(signal: AbortSignal): MaybePromise<FilesystemTotals> {
    const totals = this.#nodes.base.view.totals(ROOT_KEY, signal);
    return andThen(totals, ({ entries: files, bytes }) => ({ files, bytes }));
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

  /** With a node; of a directory what is known is of the present commit. */
  #on<T>(
    inode: Inode,
    signal: AbortSignal,
    act: (node: FollowedNode) => MaybePromise<T | Errno>,
  ): MaybePromise<T | Errno> {
    const node = this.#nodes.node(inode);
    if (node === undefined) return 'ESTALE';
    return andThen(this.#nodes.refresh(node, signal), () => act(node));
  }

  #onLeaf<T>(
    inode: Inode,
    ifDirectory: Errno,
    signal: AbortSignal,
    act: (node: FollowedNode, entry: Entry) => MaybePromise<T | Errno>,
  ): MaybePromise<T | Errno> {
    return this.#on(inode, signal, (node) => {
      if (node.isDirectory) return ifDirectory;
      return andThen(node.base.view.get(node.key, signal), (entry) =>
        entry === undefined ? 'ESTALE' : act(node, entry),
      );
    });
  }

  /** Its attributes, for a kernel that holds it from now on. */
  #give(node: FollowedNode): Attributes {
    if (node.parent !== undefined) this.#nodes.hold(node);
    return attributesOf(node);
  }

  #opened(node: FollowedNode, content: Content): MaybePromise<OpenedFile> {
    const hold = (backing: Backing | undefined): OpenedFile => {
      const handle = this.#nextHandle();
      const file = new OpenFile(handle, content, backing, () => this.#driver);
      this.#nodes.hold(node);
      this.#files.set(handle, { node, file });
      return file.opened;
    };
    const backing = content.backing();
    if (!isPromise(backing)) return hold(backing);
    return backing.then(hold, (fault: unknown) => {
      content.close();
      throw fault;
    });
  }

  #list(
    handle: Handle,
    offset: number,
    signal: AbortSignal,
    take: TakeName,
  ): MaybePromise<undefined | Errno> {
    const open = this.#listings.get(handle);
    if (open === undefined) return 'EBADF';
    const { node } = open;
    if (offset === 0) open.base = this.#nodes.baseOf(node);
    if (offset < AFTER_DOT && !take.node('.' as Key, AFTER_DOT, node)) return undefined;
    const parent = node.parent ?? node;
    if (offset < AFTER_DOT_DOT && !take.node('..' as Key, AFTER_DOT_DOT, parent)) return undefined;
    const ordinal = offset < FIRST_ORDINAL ? undefined : offset - FIRST_ORDINAL;
    return andThen(open.base.walk(node.key, ordinal, signal), (walk) =>
      this.#walkOn(open, walk, take, signal),
    );
  }

  #walkOn(
    open: OpenListing,
    walk: DirectoryWalk,
    take: TakeName,
    signal: AbortSignal,
  ): MaybePromise<undefined> {
    for (;;) {
      const more = walk.advance();
      if (isPromise(more)) {
        return more.then((any) => (any ? this.#takeAndGoOn(open, walk, take, signal) : undefined));
      }
      if (!more) return undefined;
      const taken = this.#take(open, walk, take, signal);
      if (isPromise(taken)) {
        return taken.then((any) => (any ? this.#walkOn(open, walk, take, signal) : undefined));
      }
      if (!taken) return undefined;
    }
  }

  async #takeAndGoOn(
    open: OpenListing,
    walk: DirectoryWalk,
    take: TakeName,
    signal: AbortSignal,
  ): Promise<undefined> {
    const taken = await this.#take(open, walk, take, signal);
    return taken ? this.#walkOn(open, walk, take, signal) : undefined;
  }

  #take(
    { node: directory, base }: OpenListing,
    walk: DirectoryWalk,
    take: TakeName,
    signal: AbortSignal,
  ): MaybePromise<boolean> {
    const { name, baseName, kind, mode, size, mtimeSec, mtimeNsec, resumeAt } = walk;
    const next = FIRST_ORDINAL + resumeAt;
    if (kind !== 'file' && kind !== 'directory' && kind !== 'symlink') return true;
    const found = { kind, baseName, mode, size, mtimeSec, mtimeNsec, hidesFile: false };
    return andThen(this.#nodes.adopt(directory, name, base, found, signal), (node) => {
      if (node !== 'moved') return take.node(name, next, node);
      // A name of an older commit: the kernel must not take it for the present one.
      const slash = kind === 'directory' ? '/' : '';
      return take.name(name, next, hash52(`${directory.key}${baseName}${slash}`), kind);
    });
  }

  #xattrs(inode: Inode, signal: AbortSignal): MaybePromise<Xattrs | Errno> {
    return this.#on(inode, signal, (node) => {
      const { source } = node.base.view;
      if (node.parent === undefined) return rootXattrs(source);
      if (node.isDirectory) return directoryXattrs(source, node.key);
      // A file that is as it was names the newest commit that has it.
      return andThen(this.#nodes.confirm(node, signal), () => {
        const { view } = node.base;
        return andThen(view.get(node.key, signal), (entry) =>
          entry === undefined ? 'ESTALE' : entryXattrs(view.source, node.key, entry),
        );
      });
    });
  }

  /** The name to be looked up again because of the key: the first on its way that is no directory in memory. */
  #stopOf(key: Key, passed: Set<FollowedNode>): Stop {
    const names = key.split('/') as Key[];
    const last = names.pop() as Key;
    let directory = this.#nodes.root;
    for (const name of names) {
      const node = directory.children.get(name);
      if (node?.isDirectory !== true) {
        return { directory, name, mayHaveAlias: true };
      }
      passed.add(node);
      directory = node;
    }
    const mayHaveAlias = directory.children.get(last)?.isDirectory === true;
    return { directory, name: last, mayHaveAlias };
  }

  #tell({ directory, name, mayHaveAlias }: Stop): void {
    const driver = this.#driver;
    if (driver === undefined) return;
    // A key that ends with `/`: what the directory looks like.
    if (name === '') return driver.nodeChanged(directory.inode, false);
    driver.entryChanged(directory.inode, name);
    if (!mayHaveAlias) return;
    for (const alias of aliasesOf(name)) driver.entryChanged(directory.inode, alias);
  }

  #nextHandle(): Handle {
    this.#lastHandle += 1;
    return this.#lastHandle;
  }
}

function attributesOf({ inode, look }: FollowedNode): Attributes {
  const { kind, mode, size, mtimeSec, mtimeNsec } = look;
  return { inode, kind, mode, size, mtimeSec, mtimeNsec, nlink: NLINK };
}
