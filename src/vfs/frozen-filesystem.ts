import { andThen, isPromise, type MaybePromise } from '../util/async.js';
import type { KeyedEntry } from '../model/entry.js';
import { keyFromText, NAME_BYTES_MAX, ROOT_KEY, type Key } from '../model/path.js';
import type { Backing, Content } from '../repo/content.js';
import type { FrozenCursor, FrozenView } from '../repo/view.js';
import {
  directoryDefaults,
  emptyAttributes,
  leafAttributes,
  type DirectoryDefaults,
} from './attributes.js';
import { Directories, type Directory } from './directories.js';
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
import { decodeInode, fileInode } from './inodes.js';
import { aliasedName, aliasOf, mayHaveKeysBelow, seekBelow, whyHidden } from './names.js';
import { OpenFile } from './open-file.js';
import type { HeldNodes, Resumable } from './resuming.js';
import { DirectoryWalk } from './walk.js';
import type { OpenAccess } from './writable.js';
import { directoryXattrs, entryXattrs, isOurs, rootXattrs, type Xattrs } from './xattrs.js';

/** Positions in a listing: 0 is before `.`, then these, then 3 + the ordinal to go on from. */
const AFTER_DOT = 1;
const AFTER_DOT_DOT = 2;
const FIRST_ORDINAL = 3;

/**
 * A commit as a filesystem: a pure function of its view. What it holds besides are open files and
 * a cache. Its promises to programs: SEMANTICS.md.
 */
export class FrozenFilesystem implements Resumable {
  readonly frozen = true;
  readonly sourceName: string;

  readonly #view: FrozenView;
  readonly #defaults: DirectoryDefaults;
  readonly #directories: Directories;
  readonly #files = new Map<Handle, OpenFile>();
  readonly #listings = new Map<Handle, Directory>();
  #nextHandle: () => Handle;
  #driver: DriverEvents | undefined;

  /** @param nextHandle where it shares a mount with others, whose handles are to be others */
  constructor(view: FrozenView, nextHandle: () => Handle = handles()) {
    this.#view = view;
    this.#nextHandle = nextHandle;
    const { repository, commitId, commit } = view.source;
    this.sourceName = `tarn://${repository}/${commitId}`;
    this.#defaults = directoryDefaults(commit);
    this.#directories = new Directories(view, this.#defaults);
  }

  connect(driver: DriverEvents): void {
    this.#driver = driver;
  }

  lookup(parent: Inode, name: Key, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    if (name.length > NAME_BYTES_MAX) return 'ENAMETOOLONG';
    return andThen(this.#directories.byInode(parent, signal), (directory) => {
      if (typeof directory === 'string') return directory;
      if (name === '.') return directory.attributes;
      if (name === '..') {
        const up = this.#directories.parentInode(directory, signal);
        return andThen(up, (inode) => this.getattr(inode, signal));
      }
      if (name === '' || name.includes('/') || name.includes('\0')) return 'ENOENT';
      return this.#find(directory, name, signal);
    });
  }

  getattr(inode: Inode, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    const numbered = decodeInode(inode);
    if (numbered.kind !== 'leaf') {
      return andThen(this.#directories.byInode(inode, signal), (directory) =>
        typeof directory === 'string' ? directory : directory.attributes,
      );
    }
    const cursor = this.#view.cursor(signal);
    return andThen(cursor.seekOrdinal(numbered.ordinal), (any) => {
      if (!any || whyHidden(cursor.key, false) !== undefined) return 'ESTALE';
      return leafUnder(cursor);
    });
  }

  readlink(inode: Inode, signal: AbortSignal): MaybePromise<{ target: Key } | Errno> {
    return andThen(this.#leaf(inode, signal), (leaf) => {
      if (typeof leaf === 'string') return leaf === 'EISDIR' ? 'EINVAL' : leaf;
      if (leaf.entry.kind !== 'symlink') return 'EINVAL';
      return { target: keyFromText(leaf.entry.target) };
    });
  }

  open(inode: Inode, signal: AbortSignal): MaybePromise<OpenedFile | Errno> {
    return this.#open(inode, undefined, signal);
  }

  /** Numbers follow from the commit, so that no node need be remembered. */
  resume(_held: HeldNodes, firstHandle: Handle): boolean {
    this.#nextHandle = handles(firstHandle);
    return false;
  }

  reopen(
    handle: Handle,
    inode: Inode,
    _access: OpenAccess,
    signal: AbortSignal,
  ): MaybePromise<OpenedFile | Errno> {
    return this.#open(inode, handle, signal);
  }

  reopendir(
    handle: Handle,
    inode: Inode,
    _mark: number | undefined,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return andThen(this.#directories.byInode(inode, signal), (directory) => {
      if (typeof directory === 'string') return directory;
      this.#listings.set(handle, directory);
      return undefined;
    });
  }

  read(
    handle: Handle,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | Errno> {
    return this.#files.get(handle)?.read(offset, length, signal) ?? 'EBADF';
  }

  release(handle: Handle): void {
    this.#files.get(handle)?.release();
    this.#files.delete(handle);
  }

  opendir(inode: Inode, signal: AbortSignal): MaybePromise<{ handle: Handle } | Errno> {
    return andThen(this.#directories.byInode(inode, signal), (directory) => {
      if (typeof directory === 'string') return directory;
      const handle = this.#nextHandle();
      this.#listings.set(handle, directory);
      return { handle };
    });
  }

  readdir(
    handle: Handle,
    offset: number,
    sink: DirectorySink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    const directory = this.#listings.get(handle);
    if (directory === undefined) return 'EBADF';
    if (offset >= AFTER_DOT_DOT) return this.#list(directory, offset, sink, signal);
    if (offset < AFTER_DOT && !addDots(sink, '.', AFTER_DOT, directory.attributes))
      return undefined;
    const up = this.#directories.parentInode(directory, signal);
    return andThen(up, (inode) =>
      andThen(this.getattr(inode, signal), (parent) => {
        if (typeof parent === 'string') return parent;
        if (!addDots(sink, '..', AFTER_DOT_DOT, parent)) return undefined;
        return this.#list(directory, AFTER_DOT_DOT, sink, signal);
      }),
    );
  }

  releasedir(handle: Handle): void {
    this.#listings.delete(handle);
  }

  statfs(signal: AbortSignal): MaybePromise<FilesystemTotals> {
    return andThen(this.#view.totals(ROOT_KEY, signal), ({ entries, bytes }) => ({
      files: entries,
      bytes,
    }));
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

  #find(directory: Directory, name: Key, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    const path = `${directory.prefix}${name}` as Key;
    const cursor = this.#view.cursor(signal);
    const below = (any: boolean, otherwise: () => MaybePromise<Attributes | Errno>) => {
      if (!any || !mayHaveKeysBelow(path, cursor.key)) return otherwise();
      return andThen(seekBelow(cursor, path), (isDirectory) =>
        isDirectory
          ? this.#directories.under(cursor, `${path}/` as Key, directory.depth + 1).attributes
          : otherwise(),
      );
    };
    return andThen(cursor.seek(path), (any) => {
      if (!any || cursor.key !== path) return below(any, () => this.#findAlias(path, name, signal));
      const leaf = leafUnder(cursor);
      return andThen(cursor.next(), (more) => below(more, () => leaf));
    });
  }

  /** `a~file` may be how the file `a` shows beside the directory `a`. */
  #findAlias(path: Key, name: Key, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    const hidden = aliasedName(name);
    if (hidden === undefined) return 'ENOENT';
    const prefix = path.slice(0, path.length - name.length) as Key;
    return this.#findAliased(prefix, hidden, name, signal);
  }

  async #findAliased(
    prefix: Key,
    name: Key,
    alias: Key,
    signal: AbortSignal,
  ): Promise<Attributes | Errno> {
    const path = `${prefix}${name}` as Key;
    const cursor = this.#view.cursor(signal);
    if (!(await cursor.seek(path)) || cursor.key !== path) return 'ENOENT';
    const leaf = leafUnder(cursor);
    if (!(await seekBelow(cursor, path))) return 'ENOENT';
    return (await aliasOf(this.#view, prefix, name, signal)) === alias ? leaf : 'ENOENT';
  }

  #list(
    directory: Directory,
    offset: number,
    sink: DirectorySink,
    signal: AbortSignal,
  ): MaybePromise<undefined> {
    const walk = new DirectoryWalk(this.#view, directory, this.#defaults, signal);
    const from = Math.max(offset - FIRST_ORDINAL, directory.firstOrdinal);
    return andThen(walk.start(from), () => fill(walk, sink));
  }

  #leaf(inode: Inode, signal: AbortSignal): MaybePromise<KeyedEntry | Errno> {
    const numbered = decodeInode(inode);
    switch (numbered.kind) {
      case 'root':
      case 'directory':
        return 'EISDIR';
      case 'none':
        return 'ESTALE';
      case 'leaf':
        return andThen(this.#view.select(numbered.ordinal, signal), (found) =>
          found === undefined || whyHidden(found.key, false) !== undefined ? 'ESTALE' : found,
        );
    }
  }

  /** @param known the handle where it has one already */
  #open(
    inode: Inode,
    known: Handle | undefined,
    signal: AbortSignal,
  ): MaybePromise<OpenedFile | Errno> {
    return andThen(this.#leaf(inode, signal), (leaf) => {
      if (typeof leaf === 'string') return leaf;
      if (leaf.entry.kind === 'symlink') return 'ELOOP';
      const opening = this.#view.open(leaf.key, leaf.entry);
      return andThen(opening, (content) => this.#hold(content, known));
    });
  }

  #hold(content: Content, known: Handle | undefined): MaybePromise<OpenedFile> {
    const hold = (backing: Backing | undefined): OpenedFile => {
      const handle = known ?? this.#nextHandle();
      const file = new OpenFile(handle, content, backing, () => this.#driver);
      this.#files.set(handle, file);
      return file.opened;
    };
    const backing = content.backing();
    if (!isPromise(backing)) return hold(backing);
    return backing.then(hold, (fault: unknown) => {
      content.close();
      throw fault;
    });
  }

  #xattrs(inode: Inode, signal: AbortSignal): MaybePromise<Xattrs | Errno> {
    const { source } = this.#view;
    return andThen(this.#leaf(inode, signal), (leaf) => {
      if (leaf !== 'EISDIR') {
        return typeof leaf === 'string' ? leaf : entryXattrs(source, leaf.key, leaf.entry);
      }
      return andThen(this.#directories.byInode(inode, signal), (directory) => {
        if (typeof directory === 'string') return directory;
        return directory.depth === 0
          ? rootXattrs(source)
          : directoryXattrs(source, directory.prefix);
      });
    });
  }
}

function handles(after: Handle = 0): () => Handle {
  let last = after;
  return () => ++last;
}

function leafUnder(cursor: FrozenCursor): Attributes {
  const entry = emptyAttributes();
  cursor.attributes(entry);
  return leafAttributes(fileInode(cursor.ordinal), entry);
}

function addDots(sink: DirectorySink, name: string, next: number, of: Attributes): boolean {
  const { inode, kind, mode, size, mtimeSec, mtimeNsec, nlink } = of;
  return sink.add(name as Key, next, inode, kind, mode, size, mtimeSec, mtimeNsec, nlink);
}

/** Fills `sink` from where `walk` is; stays in this tick as long as the walk does. */
function fill(walk: DirectoryWalk, sink: DirectorySink): MaybePromise<undefined> {
  for (;;) {
    const more = walk.advance();
    if (isPromise(more)) {
      return more.then((any) => (any && give(walk, sink) ? fill(walk, sink) : undefined));
    }
    if (!more || !give(walk, sink)) return undefined;
  }
}

function give(walk: DirectoryWalk, sink: DirectorySink): boolean {
  return walk.giveTo(sink, FIRST_ORDINAL + walk.resumeAt);
}
