import { isUtf8 } from 'node:buffer';
import type { Entry, FileEntry } from '../../model/entry.js';
import { EMPTY_CONTENT } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import { keyToBytes, PATH_BYTES_MAX } from '../../model/path.js';
import type { NodeId } from '../../model/ids.js';
import type { Edit, Graft } from '../../tree/edit.js';
import { isPromise } from '../../util/async.js';
import type { Inode } from '../../vfs/filesystem.js';
import type { Base, BaseName } from '../../vfs/base.js';
import type { IgnoreRules } from './ignore.js';
import { metadataOf } from './metadata.js';
import type { PlanDirectory, PlanFile, PlanItem, PlanLook, PlanName } from './plan.js';
import { orderedEdits } from './spans.js';

/** The bytes of a staged file, as they go into an entry. */
export interface FileBytes extends Pick<FileEntry, 'size' | 'content' | 'address'> {
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/** What is in the mount and not staged. */
export interface Kept {
  readonly path: Key;
  readonly reason: KeptReason;
  /** Completes "is not committed: …". */
  readonly why: string;
}

export type KeptReason = 'special' | 'ignored' | 'open' | 'unfit';

export interface EditsInput {
  readonly base: Base;
  /** Of the base. */
  readonly tree: NodeId;
  readonly items: readonly PlanItem[];
  readonly rules: IgnoreRules;
  /** Of a staged file; undefined: it is open or changes, and stays as it was. */
  readonly bytesOf: (file: PlanFile) => FileBytes | undefined;
  readonly signal: AbortSignal;
}

export interface PlannedEdits {
  readonly edits: Edit[];
  /** Rows of names that are staged by the edits, each with its key. */
  readonly names: Map<number, Key>;
  /** What became of files with bytes of their own. */
  readonly files: Map<Inode, FileEntry>;
  readonly kept: Kept[];
}

/** What makes the tree of the base what the overlay shows, but for what is kept out. */
export async function editsOf(input: EditsInput): Promise<PlannedEdits> {
  const maker = new Maker(input);
  for (const item of input.items) {
    if (item.is === 'directory') await maker.enter(item);
    else await maker.name(item);
  }
  return maker.finish();
}

class Maker {
  readonly #base: Base;
  readonly #tree: NodeId;
  readonly #rules: IgnoreRules;
  readonly #bytesOf: EditsInput['bytesOf'];
  readonly #signal: AbortSignal;
  readonly #prefixes = new Map<Key, Graft | undefined>();
  readonly #keys = new Map<Key, Exclude<Edit, { kind: 'replace' }>>();
  readonly #names = new Map<number, Key>();
  readonly #files = new Map<Inode, FileEntry>();
  readonly #kept: Kept[] = [];
  /** Directories of which nothing is staged; each ends with `/`. */
  readonly #ignored = new Set<Key>();

  /** New directories where the base has nothing to be taken away. */
  readonly #bare = new Set<Key>();

  #directory: PlanDirectory | undefined;
  /** All names that the directory has of its own. */
  #own = new Set<Key>();
  /** Something of it is staged that shows that it is there. */
  #hasEntry = false;

  constructor({ base, tree, rules, bytesOf, signal }: EditsInput) {
    this.#base = base;
    this.#tree = tree;
    this.#rules = rules;
    this.#bytesOf = bytesOf;
    this.#signal = signal;
  }

  async enter(directory: PlanDirectory): Promise<void> {
    await this.#leave();
    const { path, prefix, isMoved } = directory;
    this.#directory = directory;
    this.#own = new Set();
    this.#hasEntry = false;
    if (this.#isIgnored(path)) {
      this.#ignored.add(path);
      return;
    }
    if (directory.hasXattrs) {
      const named = path === '' ? ('/' as Key) : path;
      this.#keep(named, 'unfit', 'no commit has attributes of a directory; all else of it is');
    }
    if (!isMoved || this.#bare.has(path)) return;
    const graft = { tree: this.#tree, source: prefix, target: path };
    this.#prefixes.set(path, prefix === undefined ? undefined : (graft as Graft));
  }

  async name(item: PlanName): Promise<void> {
    const { path, prefix } = this.#directory as PlanDirectory;
    if (this.#ignored.has(path)) return;
    const { name, node, row } = item;
    this.#own.add(name);
    const key = `${path}${name}` as Key;
    const found = prefix === undefined ? undefined : this.#base.find(prefix, name, this.#signal);
    const below = isPromise(found) ? await found : found;
    switch (node.kind) {
      case 'whiteout':
        this.#uncover(path, name, below);
        this.#names.set(row, below?.kind === 'directory' ? (`${key}/` as Key) : key);
        return;
      case 'directory':
        if (node.isNew && below === undefined && this.#rules.ignores(`${key}/` as Key)) {
          this.#ignored.add(`${key}/` as Key);
          this.#keep(`${key}/` as Key, 'ignored', `an ignore rule names it`);
          return;
        }
        if (!this.#isFit(`${key}/` as Key)) {
          this.#ignored.add(`${key}/` as Key);
          return;
        }
        if (below !== undefined && below.kind !== 'directory') this.#uncover(path, name, below);
        if (node.isNew && below?.kind !== 'directory') this.#bare.add(`${key}/` as Key);
        this.#hasEntry = true;
        this.#names.set(row, `${key}/` as Key);
        return;
      case 'special':
        this.#uncover(path, name, below);
        this.#keep(key, 'special', `it is a ${WORDS[node.what]}`);
        return;
      case 'symlink':
        if (!this.#isFit(key)) return;
        if (!isUtf8(keyToBytes(node.target))) {
          return this.#keep(key, 'unfit', 'where it points to is not valid UTF-8');
        }
        this.#uncover(path, name, below);
        this.#put(row, key, {
          kind: 'symlink',
          target: keyToBytes(node.target).toString(),
          ...node.look,
        });
        return;
      case 'file':
        return this.#file(row, key, node, below);
    }
  }

  async finish(): Promise<PlannedEdits> {
    await this.#leave();
    const edits = orderedEdits(this.#prefixes, this.#keys);
    return { edits, names: this.#names, files: this.#files, kept: this.#kept };
  }

  #file(row: number, at: Key, file: PlanFile, below: BaseName | undefined): void {
    const { path, prefix } = this.#directory as PlanDirectory;
    const name = at.slice(path.length) as Key;
    const { origin } = file;
    if (below === undefined && origin === undefined && this.#rules.ignores(at)) {
      return this.#keep(at, 'ignored', 'an ignore rule names it');
    }
    if (!this.#isFit(at)) return;
    // A file that shows by another name, since a directory has its own, is still the file of its key.
    const isAlias = below !== undefined && below.baseName !== name;
    const isOrigin = isAlias && origin?.key === `${prefix}${below.baseName}`;
    const key = isOrigin ? (`${path}${below.baseName}` as Key) : at;
    const bytes = file.isStaged ? this.#bytesOf(file) : lastOf(file);
    if (bytes === undefined) return this.#asBefore(key, at, file, below);
    if (!isOrigin) this.#uncover(path, name, below);
    const entry = this.#entryOf(key, file, bytes);
    if (file.isStaged) this.#files.set(file.inode, entry);
    this.#put(row, key, entry);
  }

  /** A file that cannot be taken now: as it was before, also where it has another name now. */
  #asBefore(key: Key, at: Key, file: PlanFile, below: BaseName | undefined): void {
    this.#keep(at, 'open', 'a program is writing it');
    if (file.origin === undefined) return;
    if (below === undefined) this.#keys.set(key, { kind: 'put', key, entry: file.origin.entry });
    this.#hasEntry = true;
  }

  #entryOf(key: Key, file: PlanFile, bytes: FileBytes): FileEntry {
    const before = file.origin?.entry.kind === 'file' ? file.origin.entry : undefined;
    const { size, content, address, mtimeSec, mtimeNsec } = bytes;
    const entry = { kind: 'file', size, content, address, mtimeSec, mtimeNsec } as const;
    const { mode } = file.look;
    if (file.xattrs === undefined) {
      const { metadata, contentType, etag } = before ?? {};
      return {
        ...entry,
        mode,
        ...(metadata === undefined ? {} : { metadata }),
        ...(contentType === undefined ? {} : { contentType }),
        ...(etag === undefined || before?.content !== content ? {} : { etag }),
      };
    }
    const { kept, left } = metadataOf(file.xattrs);
    for (const name of left) {
      this.#keep(key, 'unfit', `its attribute ${name} is no text, or there are too many`);
    }
    return { ...entry, mode, ...kept };
  }

  #put(row: number, key: Key, entry: Entry): void {
    this.#keys.set(key, { kind: 'put', key, entry });
    this.#names.set(row, key);
    this.#hasEntry = true;
  }

  /** Takes away what the base shows as the name. */
  #uncover(path: Key, name: Key, below: BaseName | undefined): void {
    if (below === undefined) return;
    if (below.kind === 'directory') {
      this.#prefixes.set(`${path}${name}/` as Key, undefined);
      return;
    }
    const key = `${path}${below.baseName}` as Key;
    if (!this.#keys.has(key)) this.#keys.set(key, { kind: 'remove', key });
  }

  /** A marker for the directory that was gone through, where it would not be there without. */
  async #leave(): Promise<void> {
    const directory = this.#directory;
    if (directory === undefined || directory.path === '' || this.#ignored.has(directory.path))
      return;
    const { path, prefix, isMarked, look } = directory;
    const own = this.#own;
    const isThere =
      this.#hasEntry ||
      (prefix !== undefined &&
        (await this.#base.shows(prefix, (name) => !own.has(name), this.#signal)));
    if (isMarked || !isThere) this.#keys.set(path, { kind: 'put', key: path, entry: marker(look) });
  }

  #isIgnored(path: Key): boolean {
    const end = path.lastIndexOf('/', path.length - 2) + 1;
    return path !== '' && (this.#ignored.has(path) || this.#ignored.has(path.slice(0, end) as Key));
  }

  #isFit(key: Key): boolean {
    const isLong = key.length > PATH_BYTES_MAX;
    if (!isLong && isUtf8(keyToBytes(key))) return true;
    this.#keep(
      key,
      'unfit',
      isLong ? `its path is longer than ${PATH_BYTES_MAX} bytes` : 'its name is not valid UTF-8',
    );
    return false;
  }

  #keep(path: Key, reason: KeptReason, why: string): void {
    this.#kept.push({ path, reason, why });
  }
}

const WORDS = {
  fifo: 'named pipe',
  socket: 'socket',
  character: 'device',
  block: 'device',
} as const;

/** Of a file of which only attributes or names changed. */
function lastOf({ origin, look }: PlanFile): FileBytes | undefined {
  if (origin?.entry.kind !== 'file') return undefined;
  const { size, content, address } = origin.entry;
  return { size, content, address, mtimeSec: look.mtimeSec, mtimeNsec: look.mtimeNsec };
}

function marker(look: PlanLook): FileEntry {
  return { kind: 'file', size: 0, content: EMPTY_CONTENT, address: { kind: 'none' }, ...look };
}
