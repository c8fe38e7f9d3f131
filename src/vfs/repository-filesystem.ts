import type { CommitId } from '../model/ids.js';
import { keyFromText, keyToText, NAME_BYTES_MAX, type Key } from '../model/path.js';
import type { FrozenView } from '../repo/view.js';
import { andThen, type MaybePromise } from '../util/async.js';
import { NLINK } from './attributes.js';
import type {
  Attributes,
  DirectorySink,
  DriverEvents,
  Errno,
  FilesystemTotals,
  Handle,
  Inode,
  NodeKind,
  OpenedFile,
} from './filesystem.js';
import type { FrozenFilesystem } from './frozen-filesystem.js';
import { packedInode, ROOT_INODE, unpackedInode } from './inodes.js';
import type { HoldingFilesystem } from './living.js';
import { OpenedViews, type Place, type ViewPlace } from './opened-views.js';
import { isOurs } from './xattrs.js';

/** The names that a repository has, and what they lead to just now. */
export interface Moments {
  readonly repository: string;
  /** All branches or tags, in any order. */
  names(kind: 'branches' | 'tags', signal: AbortSignal): Promise<readonly string[]>;
  /** Undefined where nothing is called that, or more than one thing. */
  find(kind: FolderName, name: string, signal: AbortSignal): Promise<CommitId | undefined>;
  /** Whether the text names a moment that is past. */
  isTime(text: string): boolean;
  /** The branches that there were. */
  namesAt(time: string, signal: AbortSignal): Promise<readonly string[]>;
  /** As `find`, of a branch or tag as it was. */
  findAt(time: string, name: string, signal: AbortSignal): Promise<CommitId | undefined>;
  /** @param ref what the user called the commit */
  view(ref: string, commit: CommitId, signal: AbortSignal): Promise<FrozenView>;
}

/** What the root holds, besides `at`. */
type FolderName = 'branches' | 'tags' | 'commits';

const FOLDERS: readonly (readonly [FolderName | 'at', Inode])[] = [
  ['branches', 2],
  ['tags', 3],
  ['commits', 4],
  ['at', 5],
];
const AT: Inode = 5;
/** The first number of what is looked up. */
const FIRST_OPENED: Inode = 16;
/** Of a name in a listing that was not looked up; no kernel or program takes it for a number. */
const UNKNOWN_INODE: Inode = 0xffff_ffff;

const MODE = 0o755;

/** Positions in a listing of names: 0 is before `.`, then these, then 3 + how many were listed. */
const AFTER_DOT = 1;
const AFTER_DOT_DOT = 2;

/** An open directory of names. */
interface OpenNames {
  readonly directory: Inode;
  /** As they were when the listing was begun. */
  names: readonly string[] | undefined;
}

/** Where a node is: the view that it belongs to, and its number there. */
interface Inside {
  readonly place: ViewPlace;
  readonly filesystem: FrozenFilesystem;
  readonly inode: Inode;
}

/**
 * A whole repository: `branches/NAME`, `tags/NAME`, `commits/ID` and `at/TIME/NAME`, each a commit as
 * a frozen filesystem shows it. The names lead to what they name when they are looked up; what is
 * below never changes.
 */
export class RepositoryFilesystem implements HoldingFilesystem {
  readonly frozen = true;
  readonly sourceName: string;

  readonly #moments: Moments;
  readonly #opened: OpenedViews;
  readonly #handles = new Map<Handle, FrozenFilesystem>();
  readonly #listings = new Map<Handle, Inside>();
  readonly #nameListings = new Map<Handle, OpenNames>();
  readonly #madeSec = Math.floor(Date.now() / 1000);
  #lastHandle: Handle = 0;
  #driver: DriverEvents | undefined;

  constructor(moments: Moments) {
    this.#moments = moments;
    this.sourceName = `tarn://${moments.repository}`;
    this.#opened = new OpenedViews(
      FIRST_OPENED,
      (ref, commit, signal) => moments.view(ref, commit, signal),
      () => this.#driver,
      () => this.#nextHandle(),
    );
  }

  connect(driver: DriverEvents): void {
    this.#driver = driver;
  }

  /** Directories of commits and times in memory. */
  get opened(): number {
    return this.#opened.size;
  }

  isPassing(directory: Inode): boolean {
    if (directory < FIRST_OPENED) return directory !== ROOT_INODE;
    return this.#opened.at(directory)?.shows.kind === 'time';
  }

  forget(inode: Inode, times: number): void {
    const place = this.#opened.at(inode);
    if (place?.first === inode) this.#opened.letGo(place, times);
  }

  lookup(parent: Inode, name: Key, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    if (name.length > NAME_BYTES_MAX) return 'ENAMETOOLONG';
    if (name === '.') return andThen(this.getattr(parent, signal), (found) => this.#give(found));
    const place = this.#opened.at(parent);
    if (name === '..' && (place === undefined || place.first === parent)) {
      const above = this.getattr(place?.parent ?? ROOT_INODE, signal);
      return andThen(above, (found) => this.#give(found));
    }
    if (place?.shows.kind !== 'view') return this.#find(parent, place, keyToText(name), signal);
    return this.#inside(parent, signal, ({ filesystem, inode }) =>
      andThen(filesystem.lookup(inode, name, signal), (found) =>
        this.#give(renumbered(place as ViewPlace, found)),
      ),
    );
  }

  getattr(inode: Inode, signal: AbortSignal): MaybePromise<Attributes | Errno> {
    const place = this.#opened.at(inode);
    if (place?.shows.kind !== 'view') {
      const isThere = place !== undefined || inode === ROOT_INODE || folderOf(inode) !== undefined;
      return isThere ? this.#names(inode) : 'ESTALE';
    }
    return this.#inside(inode, signal, ({ place: of, filesystem, inode: local }) =>
      andThen(filesystem.getattr(local, signal), (found) => renumbered(of, found)),
    );
  }

  readlink(inode: Inode, signal: AbortSignal): MaybePromise<{ target: Key } | Errno> {
    return this.#inside(inode, signal, ({ filesystem, inode: local }) =>
      filesystem.readlink(local, signal),
    );
  }

  open(inode: Inode, signal: AbortSignal): MaybePromise<OpenedFile | Errno> {
    return this.#inside(inode, signal, ({ filesystem, inode: local }) =>
      andThen(filesystem.open(local, signal), (opened) => {
        if (typeof opened !== 'string') this.#handles.set(opened.handle, filesystem);
        return opened;
      }),
    );
  }

  read(
    handle: Handle,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | Errno> {
    return this.#handles.get(handle)?.read(handle, offset, length, signal) ?? 'EBADF';
  }

  release(handle: Handle): void {
    this.#handles.get(handle)?.release(handle);
    this.#handles.delete(handle);
  }

  opendir(inode: Inode, signal: AbortSignal): MaybePromise<{ handle: Handle } | Errno> {
    if (this.#opened.at(inode)?.shows.kind !== 'view') {
      return andThen(this.getattr(inode, signal), (found) => {
        if (typeof found === 'string') return found;
        const handle = this.#nextHandle();
        this.#nameListings.set(handle, { directory: inode, names: undefined });
        return { handle };
      });
    }
    return this.#inside(inode, signal, (inside) =>
      andThen(inside.filesystem.opendir(inside.inode, signal), (opened) => {
        if (typeof opened !== 'string') this.#listings.set(opened.handle, inside);
        return opened;
      }),
    );
  }

  readdir(
    handle: Handle,
    offset: number,
    sink: DirectorySink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    const listing = this.#listings.get(handle);
    if (listing !== undefined) {
      const { filesystem, place, inode } = listing;
      const above = inode === ROOT_INODE ? place.parent : undefined;
      return filesystem.readdir(handle, offset, new RenumberingSink(sink, place, above), signal);
    }
    const names = this.#nameListings.get(handle);
    return names === undefined ? 'EBADF' : this.#listNames(names, offset, sink, signal);
  }

  releasedir(handle: Handle): void {
    this.#listings.get(handle)?.filesystem.releasedir(handle);
    this.#listings.delete(handle);
    this.#nameListings.delete(handle);
  }

  /** Of no commit in particular. */
  statfs(): FilesystemTotals {
    return { files: 0, bytes: 0 };
  }

  getxattr(inode: Inode, name: Key, signal: AbortSignal): MaybePromise<Uint8Array | Errno> {
    if (!isOurs(name)) return 'ENOTSUP';
    if (this.#opened.at(inode)?.shows.kind === 'view') {
      return this.#inside(inode, signal, ({ filesystem, inode: local }) =>
        filesystem.getxattr(local, name, signal),
      );
    }
    return name === REPOSITORY ? Buffer.from(this.#moments.repository) : 'ENODATA';
  }

  listxattr(inode: Inode, signal: AbortSignal): MaybePromise<readonly Key[] | Errno> {
    if (this.#opened.at(inode)?.shows.kind !== 'view') return [REPOSITORY];
    return this.#inside(inode, signal, ({ filesystem, inode: local }) =>
      filesystem.listxattr(local, signal),
    );
  }

  /** What a directory of names leads to. */
  async #find(
    parent: Inode,
    time: Place | undefined,
    name: string,
    signal: AbortSignal,
  ): Promise<Attributes | Errno> {
    if (parent === ROOT_INODE) {
      const [, inode] = FOLDERS.find(([folder]) => folder === name) ?? [];
      return inode === undefined ? 'ENOENT' : this.#names(inode);
    }
    if (parent === AT) {
      if (!this.#moments.isTime(name)) return 'ENOENT';
      return this.#names(this.#opened.enterTime(`at/${name}`, AT, name).first);
    }
    const moment =
      time?.shows.kind === 'time'
        ? await this.#findAt(time, time.shows.time, name, signal)
        : await this.#findIn(parent, name, signal);
    if (typeof moment === 'string') return moment;
    const { path, ref, commit } = moment;
    return (await this.#opened.enter(path, parent, ref, commit, signal)).shows.root;
  }

  async #findIn(parent: Inode, name: string, signal: AbortSignal): Promise<Named | Errno> {
    const folder = folderOf(parent);
    if (folder === undefined || folder === 'at') return 'ESTALE';
    const commit = await this.#moments.find(folder, name, signal);
    return commit === undefined ? 'ENOENT' : { path: `${folder}/${name}`, ref: name, commit };
  }

  async #findAt(
    { key }: Place,
    time: string,
    name: string,
    signal: AbortSignal,
  ): Promise<Named | Errno> {
    const commit = await this.#moments.findAt(time, name, signal);
    if (commit === undefined) return 'ENOENT';
    return { path: `${key}/${name}`, ref: `${name}@{${time}}`, commit };
  }

  async #listNames(
    open: OpenNames,
    offset: number,
    sink: DirectorySink,
    signal: AbortSignal,
  ): Promise<undefined | Errno> {
    const { directory } = open;
    if (offset === 0) open.names = undefined;
    const names = (open.names ??= await this.#namesIn(directory, signal));
    const above = this.#opened.at(directory)?.parent ?? ROOT_INODE;
    if (offset < AFTER_DOT && !sink.addName('.' as Key, AFTER_DOT, directory, 'directory')) return;
    if (offset < AFTER_DOT_DOT && !sink.addName('..' as Key, AFTER_DOT_DOT, above, 'directory')) {
      return;
    }
    for (let i = Math.max(0, offset - AFTER_DOT_DOT); i < names.length; i += 1) {
      const name = names[i] as string;
      const [, inode = UNKNOWN_INODE] =
        directory === ROOT_INODE ? (FOLDERS.find(([folder]) => folder === name) ?? []) : [];
      if (!sink.addName(keyFromText(name), AFTER_DOT_DOT + i + 1, inode, 'directory')) return;
    }
  }

  /** `commits` and `at` list nothing: there is no end to what they hold. */
  async #namesIn(directory: Inode, signal: AbortSignal): Promise<readonly string[]> {
    if (directory === ROOT_INODE) return FOLDERS.map(([name]) => name);
    const folder = folderOf(directory);
    if (folder === 'branches' || folder === 'tags') return this.#moments.names(folder, signal);
    const place = this.#opened.at(directory);
    if (place?.shows.kind !== 'time') return [];
    return this.#moments.namesAt(place.shows.time, signal);
  }

  #inside<T>(
    inode: Inode,
    signal: AbortSignal,
    act: (inside: Inside) => MaybePromise<T | Errno>,
  ): MaybePromise<T | Errno> {
    const place = this.#opened.at(inode);
    if (place?.shows.kind !== 'view') {
      return inode < FIRST_OPENED || place !== undefined ? 'EISDIR' : 'ESTALE';
    }
    const within = place as ViewPlace;
    const local = unpackedInode(inode - place.first, place.shows.entries);
    return andThen(this.#opened.filesystem(within, signal), (filesystem) =>
      act({ place: within, filesystem, inode: local }),
    );
  }

  /** For a kernel that holds it from now on. */
  #give(found: Attributes | Errno): Attributes | Errno {
    if (typeof found === 'string') return found;
    const place = this.#opened.at(found.inode);
    if (place?.first === found.inode) this.#opened.hold(place);
    return found;
  }

  /** Attributes of a directory of names. */
  #names(inode: Inode): Attributes {
    const look = { kind: 'directory', mode: MODE, size: 0, mtimeNsec: 0, nlink: NLINK } as const;
    return { inode, ...look, mtimeSec: this.#madeSec };
  }

  #nextHandle(): Handle {
    this.#lastHandle += 1;
    return this.#lastHandle;
  }
}

interface Named {
  readonly path: string;
  readonly ref: string;
  readonly commit: CommitId;
}

const REPOSITORY = 'user.tarn.repository' as Key;

function folderOf(inode: Inode): FolderName | 'at' | undefined {
  return FOLDERS.find(([, number]) => number === inode)?.[0];
}

function renumbered({ first, shows }: ViewPlace, found: Attributes | Errno): Attributes | Errno {
  if (typeof found === 'string') return found;
  return { ...found, inode: first + packedInode(found.inode, shows.entries) };
}

/** A listing of a view with the numbers that it has in the mount. */
class RenumberingSink implements DirectorySink {
  readonly #sink: DirectorySink;
  readonly #first: Inode;
  readonly #entries: number;
  readonly #above: Inode | undefined;

  /** @param above of the view's root, the number that `..` has */
  constructor(sink: DirectorySink, { first, shows }: ViewPlace, above: Inode | undefined) {
    this.#sink = sink;
    this.#first = first;
    this.#entries = shows.entries;
    this.#above = above;
  }

  add(
    name: Key,
    next: number,
    inode: Inode,
    kind: NodeKind,
    mode: number,
    size: number,
    mtimeSec: number,
    mtimeNsec: number,
    nlink: number,
  ): boolean {
    const packed = this.#first + packedInode(inode, this.#entries);
    const number = this.#above !== undefined && name === '..' ? this.#above : packed;
    return this.#sink.add(name, next, number, kind, mode, size, mtimeSec, mtimeNsec, nlink);
  }

  addName(name: Key, next: number, inode: Inode, kind: NodeKind): boolean {
    return this.#sink.addName(name, next, this.#first + packedInode(inode, this.#entries), kind);
  }
}
