import type { Entry, FileEntry } from '../model/entry.js';
import { importedUrl, pathOfUrl } from '../model/imported.js';
import type { ObjectStore } from '../store/object-store.js';
import { throwIfAborted } from '../util/abort.js';
import { BLOCK_BYTES } from '../model/ids.js';
import type { Content } from './content.js';
import { piecesOf } from './content-pieces.js';
import type { Piece } from './content-pieces.js';

/** Files or runs of small ones that are fetched at the same time. */
const TASKS_MAX = 8;
const RUN_BYTES_MAX = 4_194_304;
/** What lies between two small files is fetched with them when it is less than a request costs. */
const GAP_BYTES_MAX = 65_536;

export interface Prefetched {
  files: number;
  /** Of the files; what of them was cached already was not fetched. */
  bytes: number;
}

/**
 * Gets files into the cache of a store that lies elsewhere: large ones verified, small ones, which are
 * verified when they are read, in runs as they lie. Begun again it goes on where it was.
 */
export class Prefetch {
  readonly done: Prefetched = { files: 0, bytes: 0 };
  readonly #objects: ObjectStore;
  readonly #open: (entry: FileEntry) => Content;
  readonly #signal: AbortSignal;
  readonly #tasks = new Set<Promise<void>>();
  #fault: { readonly error: unknown } | undefined;
  #run: { piece: Piece; files: Prefetched } | undefined;

  constructor(objects: ObjectStore, open: (entry: FileEntry) => Content, signal: AbortSignal) {
    this.#objects = objects;
    this.#open = open;
    this.#signal = signal;
  }

  /** Resolves when there is room for the next. @throws TarnError not-found, corrupt, io, aborted */
  async add(entry: Entry): Promise<void> {
    if (entry.kind === 'symlink' || entry.size === 0) {
      this.done.files += 1;
      return;
    }
    if (this.#isHere(entry)) return;
    const [piece] = piecesOf(entry);
    if (entry.size > BLOCK_BYTES || piece === undefined) return this.#addLarge(entry);
    const run = this.#run;
    if (run !== undefined && isNear(run.piece, piece)) {
      const end = Math.max(endOf(run.piece), endOf(piece));
      run.piece = { ...run.piece, length: end - run.piece.offset };
      run.files.files += 1;
      run.files.bytes += entry.size;
      return;
    }
    await this.#flush();
    this.#run = { piece, files: { files: 1, bytes: entry.size } };
  }

  /** Resolves when all that was added is cached. @throws as add */
  async finish(): Promise<Prefetched> {
    try {
      await this.#flush();
    } finally {
      await Promise.all(this.#tasks);
    }
    this.#check();
    return this.done;
  }

  async #flush(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    if (run === undefined) return;
    const { piece, files } = run;
    await this.#start(files, async () => {
      await this.#objects.fetch?.(piece.object, piece.offset, piece.length, {
        signal: this.#signal,
      });
    });
  }

  /** Whether it lies on this machine. */
  #isHere(entry: FileEntry): boolean {
    const url = importedUrl(entry);
    return url === undefined ? this.#objects.fetch === undefined : pathOfUrl(url) !== undefined;
  }

  #addLarge(entry: FileEntry): Promise<void> {
    return this.#start({ files: 1, bytes: entry.size }, async () => {
      const content = this.#open(entry);
      try {
        await content.fetch?.(0, entry.size, this.#signal);
      } finally {
        content.close();
      }
    });
  }

  async #start(counts: Prefetched, work: () => Promise<void>): Promise<void> {
    while (this.#tasks.size >= TASKS_MAX) await Promise.race(this.#tasks);
    this.#check();
    throwIfAborted(this.#signal);
    const attempt = async (): Promise<void> => {
      try {
        await work();
        this.done.files += counts.files;
        this.done.bytes += counts.bytes;
      } catch (error) {
        this.#fault ??= { error };
      }
    };
    const task: Promise<void> = attempt().then(() => {
      this.#tasks.delete(task);
    });
    this.#tasks.add(task);
  }

  #check(): void {
    if (this.#fault !== undefined) throw this.#fault.error;
  }
}

function endOf({ offset, length }: Piece): number {
  return offset + length;
}

function isNear(run: Piece, next: Piece): boolean {
  return (
    run.object === next.object &&
    next.offset >= run.offset &&
    next.offset - endOf(run) <= GAP_BYTES_MAX &&
    endOf(next) - run.offset <= RUN_BYTES_MAX
  );
}
