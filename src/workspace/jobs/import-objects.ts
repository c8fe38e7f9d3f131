import type { Address, FileEntry, KeyedEntry, ObjectPin } from '../../model/entry.js';
import { EMPTY_CONTENT } from '../../model/ids.js';
import { pinnedContentId } from '../../model/imported.js';
import type { Key } from '../../model/path.js';
import { keyFromText, PATH_BYTES_MAX } from '../../model/path.js';
import type { ForeignBucket, ForeignObject } from '../../store/foreign.js';
import { mustBeRestored } from '../../store/foreign.js';
import { foreignUrl } from '../../store/foreign-buckets.js';
import type { ObjectStore } from '../../store/object-store.js';
import type { BucketUrl } from '../../store/storage-url.js';
import { shortStorageUrl } from '../../store/storage-url.js';
import { TarnError } from '../../util/errors.js';
import type { ImportObjectsInput } from './import.js';
import { wantsFileOf, wantsOf } from './import.js';
import { contentOfObject } from './import-read.js';
import type { ObjectTarget } from './import-target.js';
import type { Note } from './notes.js';
import { Notes } from './notes.js';
import { diskPath } from './walk.js';

/** Objects that are read at a time, to be verified. */
const READ_AT_ONCE = 16;
const FILE_MODE = 0o644;
const NANOSECONDS_A_MS = 1_000_000;

export interface ObjectsFrom {
  readonly place: BucketUrl;
  readonly bucket: ForeignBucket;
  readonly target: ObjectTarget;
}

/** What came of the objects so far. */
export interface ObjectCounts {
  readonly files: number;
  /** Empty objects whose key ends with `/`. */
  readonly directories: number;
  readonly bytes: number;
  /** By storage class: what must be restored before it can be read. */
  readonly archived: Readonly<Record<string, number>>;
  readonly skipped: readonly Note[];
  readonly skippedCount: number;
  readonly failures: readonly Note[];
  readonly failureCount: number;
}

/** Makes entries of objects, and counts them. */
export class ObjectEntries {
  readonly #from: ObjectsFrom;
  readonly #objects: ObjectStore;
  readonly #reads: boolean;
  readonly #wants: ((path: string) => boolean) | undefined;
  readonly #wantsFile: ((size: number, mtimeMs: number) => boolean) | undefined;
  readonly #own: readonly string[];
  readonly #base: string;
  #files = 0;
  #directories = 0;
  #bytes = 0;
  readonly #archived: Record<string, number> = {};
  readonly #skipped = new Notes();
  readonly #failures = new Notes();

  /** @param own prefixes that are left out, because repositories lie there */
  constructor(
    input: ImportObjectsInput,
    from: ObjectsFrom,
    objects: ObjectStore,
    own: readonly string[],
  ) {
    this.#from = from;
    this.#objects = objects;
    this.#reads = input.isVerified && !input.isDryRun;
    this.#wants = wantsOf(input);
    this.#wantsFile = wantsFileOf(input);
    this.#own = own;
    this.#base = foreignUrl({ bucket: from.place, key: '' });
  }

  /** The entries of objects in order, those that are wanted and can be had. @throws TarnError aborted */
  async of(page: readonly ForeignObject[], signal: AbortSignal): Promise<readonly KeyedEntry[]> {
    const entries: KeyedEntry[] = [];
    if (!this.#reads) {
      for (const object of page) {
        const entry = this.#entryOf(object);
        if (entry !== undefined) this.#take(object, entry, entries);
      }
      return entries;
    }
    const wanted = page.flatMap((object) => {
      const entry = this.#entryOf(object);
      return entry === undefined ? [] : [{ object, entry }];
    });
    for (let at = 0; at < wanted.length; at += READ_AT_ONCE) {
      const group = wanted.slice(at, at + READ_AT_ONCE);
      const read = await Promise.all(group.map((each) => this.#read(each, signal)));
      group.forEach(({ object, entry }, i) => {
        const content = read[i];
        if (content instanceof TarnError) this.#fail(object, content.message);
        else this.#take(object, { ...entry, entry: { ...entry.entry, ...content } }, entries);
      });
    }
    return entries;
  }

  /** Goes on after what was counted before. */
  restore(counts: ObjectCounts): void {
    this.#files = counts.files;
    this.#directories = counts.directories;
    this.#bytes = counts.bytes;
    Object.assign(this.#archived, counts.archived);
    this.#skipped.restore(counts.skipped, counts.skippedCount);
    this.#failures.restore(counts.failures, counts.failureCount);
  }

  counts(): ObjectCounts {
    return {
      files: this.#files,
      directories: this.#directories,
      bytes: this.#bytes,
      archived: this.#archived,
      skipped: this.#skipped.listed,
      skippedCount: this.#skipped.count,
      failures: this.#failures.listed,
      failureCount: this.#failures.count,
    };
  }

  #entryOf(object: ForeignObject): (KeyedEntry & { readonly entry: FileEntry }) | undefined {
    const { from, to, object: only } = this.#from.target;
    const relative = object.key.slice(from.length);
    const path = relative.endsWith('/') ? relative.slice(0, -1) : relative;
    if (only === undefined && this.#wants?.(path) === false) return undefined;
    if (this.#wantsFile?.(object.size, object.mtimeMs) === false) return undefined;
    for (const prefix of this.#own) {
      if (object.key.startsWith(prefix)) return this.#skipOwn(prefix);
    }
    const key = (to + keyFromText(relative)) as Key;
    // The marker of the folder that is imported, where it becomes the root, which needs none.
    if (key === '' && object.size === 0) return undefined;
    const rule = brokenRule(key, object);
    if (rule === undefined) return { key, entry: entryOf(`${this.#base}${object.key}`, object) };
    this.#fail(object, rule);
    return undefined;
  }

  #take(object: ForeignObject, keyed: KeyedEntry, entries: KeyedEntry[]): void {
    const { size, storageClass } = object;
    if (size === 0 && object.key.endsWith('/')) this.#directories += 1;
    else this.#files += 1;
    this.#bytes += size;
    if (storageClass !== undefined && mustBeRestored(this.#from.place.kind, storageClass)) {
      this.#archived[storageClass] = (this.#archived[storageClass] ?? 0) + 1;
    }
    entries.push(keyed);
  }

  /** The id of its content; or why it cannot be read. @throws TarnError aborted */
  async #read(
    { object, entry }: { object: ForeignObject; entry: KeyedEntry & { entry: FileEntry } },
    signal: AbortSignal,
  ): Promise<Partial<FileEntry> | TarnError> {
    if (entry.entry.size === 0) return {};
    try {
      const { bucket } = this.#from;
      return { content: await contentOfObject(bucket, object, this.#objects, signal) };
    } catch (error) {
      // What concerns all objects ends the import; what concerns one is told of it.
      if (error instanceof TarnError && OF_ONE_OBJECT.has(error.kind)) return error;
      throw error;
    }
  }

  #skipOwn(prefix: string): undefined {
    const url = shortStorageUrl({ ...this.#from.place, prefix });
    if (this.#skipped.listed.some(({ path }) => path === url)) return;
    this.#skipped.add(diskPath(url), 'a repository keeps its own objects there');
  }

  #fail({ key }: ForeignObject, why: string): void {
    this.#failures.add(diskPath(`${this.#from.bucket.url}/${key}`), why);
  }
}

const OF_ONE_OBJECT: ReadonlySet<string> = new Set(['denied', 'corrupt']);

/** Why the object cannot be taken in. */
function brokenRule(key: Key, { etag }: ForeignObject): string | undefined {
  if (key === '') return 'it would take the place of the root: import it by its own URL';
  if (key.length > PATH_BYTES_MAX) {
    return `its path in the repository would be ${key.length} bytes long, at most ${PATH_BYTES_MAX} are allowed: import it to a shorter path`;
  }
  return etag === '' ? 'the store tells no ETag of it, so it cannot be pinned' : undefined;
}

/** The entry of an object whose bytes nobody has read. */
function entryOf(url: string, object: ForeignObject): FileEntry {
  const { size, etag, version, mtimeMs } = object;
  const mtimeSec = Math.floor(mtimeMs / 1000);
  const mtimeNsec = Math.round((mtimeMs - mtimeSec * 1000) * NANOSECONDS_A_MS);
  const address: Address =
    size === 0 ? { kind: 'none' } : { kind: 'imported', url, pin: pinOf(etag, version) };
  const content =
    address.kind === 'imported' ? pinnedContentId(url, size, address.pin) : EMPTY_CONTENT;
  return { kind: 'file', size, mtimeSec, mtimeNsec, mode: FILE_MODE, content, address };
}

function pinOf(etag: string, version: string | undefined): ObjectPin {
  return version === undefined ? { kind: 'object', etag } : { kind: 'object', etag, version };
}
