import { LRUCache } from 'lru-cache';
import type { Entry, FileEntry } from '../../model/entry.js';
import { contentHash, sha256 } from '../../model/ids.js';
import type { Hash, PackId } from '../../model/ids.js';
import { isPinned } from '../../model/imported.js';
import type { ForeignBuckets } from '../../store/foreign-buckets.js';
import type { ObjectStore } from '../../store/object-store.js';
import { throwIfAborted } from '../../util/abort.js';
import { isPromise } from '../../util/async.js';
import { TarnError } from '../../util/errors.js';
import { ContentReader } from '../content-reader.js';
import { CORRUPT_HINT } from '../corrupt.js';
import type { ImportedBytes } from '../imported-bytes.js';
import { manifestKey, packKey, wholeKey } from '../layout.js';
import { importedBytes } from '../open-imported.js';
import { readPackIndex, wrongContent } from '../pack-reader.js';
import type { Findings } from './findings.js';

/** Files are read in pieces of this many bytes. */
const READ_BYTES = 4_194_304;
/** Imported objects that are looked up at a time: each is a request to another machine. */
const LOOKED_UP_MAX = 32;
/** Pack indexes at hand: neighbouring files mostly lie in one pack. */
const INDEXES_MAX = 64;

export interface CheckedRepository {
  readonly objects: ObjectStore;
  readonly foreign: ForeignBuckets;
}

type PackPlaces = ReadonlyMap<number, { readonly hash: Hash; readonly length: number }>;

/** Checks that each entry's bytes are where it says and what it says, each object once. */
export class ContentCheck {
  readonly #objects: ObjectStore;
  readonly #foreign: ForeignBuckets;
  /** Without stamps: nothing that was verified earlier is believed. */
  readonly #reader: ContentReader;
  readonly #findings: Findings;
  readonly #readsBytes: boolean;
  readonly #signal: AbortSignal;
  readonly #checked = new Set<string>();
  readonly #indexes = new LRUCache<PackId, PackPlaces>({ max: INDEXES_MAX });
  readonly #brokenPacks = new Set<PackId>();
  readonly #lookingUp = new Set<Promise<void>>();
  /** What came of them and is not noted yet. */
  readonly #lookedUp: { readonly where: string; readonly error: unknown }[] = [];

  /** @param readsBytes false looks only whether the objects are there */
  constructor(
    { objects, foreign }: CheckedRepository,
    findings: Findings,
    readsBytes: boolean,
    signal: AbortSignal,
  ) {
    this.#objects = objects;
    this.#foreign = foreign;
    this.#reader = new ContentReader(objects, undefined, foreign);
    this.#findings = findings;
    this.#readsBytes = readsBytes;
    this.#signal = signal;
  }

  async check(entry: Entry, where: () => string): Promise<void> {
    if (entry.kind === 'symlink' || entry.address.kind === 'none') return;
    const { address } = entry;
    if (address.kind === 'packed') return this.#packed(entry, address.pack, address.offset, where);
    const name = `${entry.content} ${entry.size} ${JSON.stringify(address)}`;
    if (!this.#first(name)) return;
    await this.#findings.hold(where(), async () => {
      const imported = importedBytes(entry, this.#foreign);
      if (imported?.isFar === true) {
        if (isPinned(entry.content)) return this.#lookUp(imported, where());
        // What is kept of it on this machine is right long after it has changed.
        if (this.#readsBytes) await imported.check(this.#signal);
      }
      return this.#readsBytes ? this.#readAll(entry) : this.#isThere(entry);
    });
  }

  /** Resolves when all that was begun is done. */
  async finish(): Promise<void> {
    await Promise.all(this.#lookingUp);
    await this.#noteLookedUp();
  }

  /** Begins to see whether an object of which only the pin is known is still the one that was imported. */
  async #lookUp(imported: ImportedBytes, where: string): Promise<void> {
    if (!this.#readsBytes) return;
    while (this.#lookingUp.size >= LOOKED_UP_MAX) await Promise.race(this.#lookingUp);
    const task: Promise<void> = imported
      .check(this.#signal)
      .catch((error: unknown) => void this.#lookedUp.push({ where, error }))
      .then(() => void this.#lookingUp.delete(task));
    this.#lookingUp.add(task);
    await this.#noteLookedUp();
  }

  async #noteLookedUp(): Promise<void> {
    for (const { where, error } of this.#lookedUp.splice(0)) {
      await this.#findings.hold(where, () => {
        throw error;
      });
    }
  }

  /** Whether it is the first time; counts it then. */
  #first(name: string): boolean {
    const short = name.length > 96 ? sha256(Buffer.from(name)) : name;
    if (this.#checked.has(short)) return false;
    this.#checked.add(short);
    this.#findings.counts.contents += 1;
    return true;
  }

  async #packed(
    entry: FileEntry,
    pack: PackId,
    offset: number,
    where: () => string,
  ): Promise<void> {
    if (this.#brokenPacks.has(pack)) return;
    let places = this.#indexes.get(pack);
    if (places === undefined) {
      const isSound = await this.#findings.hold(where(), async () => {
        places = await this.#openPack(pack);
        this.#indexes.set(pack, places);
      });
      if (!isSound) this.#brokenPacks.add(pack);
    }
    const place = places?.get(offset);
    if (places === undefined) return;
    if (place?.length === entry.size && place.hash === contentHash(entry.content)) return;
    await this.#findings.hold(where(), () => {
      throw new TarnError(
        'corrupt',
        `the entry names ${entry.size} bytes of ${entry.content} at ${offset} of pack '${packKey(pack)}', which has no such content there`,
        { hint: CORRUPT_HINT },
      );
    });
  }

  /** Reads the index, and all of the pack the first time. */
  async #openPack(pack: PackId): Promise<PackPlaces> {
    const { contents } = await readPackIndex(this.#objects, pack, this.#signal);
    if (this.#first(pack) && this.#readsBytes) {
      const bytes = await this.#objects.get(packKey(pack), { signal: this.#signal });
      const wrong = wrongContent(contents, bytes);
      if (wrong !== undefined) {
        const { hash, offset, length } = wrong;
        throw new TarnError(
          'corrupt',
          `pack '${packKey(pack)}' is corrupt: bytes ${offset} to ${offset + length - 1} do not hash to ${hash}`,
          { hint: CORRUPT_HINT },
        );
      }
      this.#findings.counts.bytes += bytes.length;
    }
    return new Map(contents.map(({ offset, hash, length }) => [offset, { hash, length }]));
  }

  async #readAll(entry: FileEntry): Promise<void> {
    const content = this.#reader.open(entry);
    try {
      // Without a content id there is only the pin to check, which any read does.
      if (isPinned(entry.content)) {
        await content.read(0, 1, this.#signal);
        return;
      }
      for (let offset = 0; offset < entry.size; offset += READ_BYTES) {
        throwIfAborted(this.#signal);
        const read = content.read(offset, READ_BYTES, this.#signal);
        this.#findings.counts.bytes += (isPromise(read) ? await read : read).length;
      }
    } finally {
      content.close();
    }
  }

  async #isThere(entry: FileEntry): Promise<void> {
    for (const key of objectsOf(entry)) {
      if ((await this.#objects.head(key, this.#signal)) !== undefined) continue;
      throw new TarnError('not-found', `object '${key}' is missing in '${this.#objects.url}'`, {
        hint: CORRUPT_HINT,
      });
    }
  }
}

/** Keys of the repository's own objects that the file's bytes and block ids lie in. */
function objectsOf({ address, content }: FileEntry): string[] {
  const manifest = content.startsWith('merkle:') ? [manifestKey(content)] : [];
  switch (address.kind) {
    case 'none':
      return [];
    case 'imported':
      return manifest;
    case 'whole':
      return [...manifest, wholeKey(content)];
    case 'packed':
      return [packKey(address.pack)];
    case 'extents':
      return [
        ...manifest,
        ...address.extents.map(({ source }) =>
          source.kind === 'pack' ? packKey(source.pack) : wholeKey(source.content),
        ),
      ];
  }
}
