import type { Inode } from '../../vfs/filesystem.js';
import { unlessAborted } from '../../util/abort.js';
import { giveWay } from '../../util/give-way.js';
import type { FileStored, FileToStore } from '../jobs/store.js';
import type { OverlayThreads } from '../jobs/registry.js';
import type { Node } from '../nodes.js';
import type { Overlay } from '../overlay.js';
import { IgnoreRules } from './ignore.js';

/** Files that go quiet together are stored together. */
const WAIT_MS = 250;
const FILES_MAX = 1_000;
/** Files looked at, and rows written to the journal, between two turns of the event loop. */
const ROWS_A_TURN = 100;

export interface BackgroundOptions {
  readonly repository: string;
  readonly folder: string;
  readonly threads: OverlayThreads;
  readonly onFault: (error: unknown) => void;
}

/**
 * Stores files soon after the last program that could write them has closed them, so that a commit
 * finds them stored. What a process that ended has left is found in the overlay when it is opened.
 */
export class BackgroundStore {
  readonly #overlay: Overlay;
  readonly #options: BackgroundOptions;
  readonly #litter = new IgnoreRules();
  readonly #stop = new AbortController();
  readonly #waiting = new Map<Inode, Node>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #isRunning = false;
  #pauses = 0;

  constructor(overlay: Overlay, options: BackgroundOptions) {
    this.#overlay = overlay;
    this.#options = options;
    overlay.files.onQuiet = (node) => this.#add(node);
    for (const node of overlay.changedNodes()) {
      if (node.state?.isStaged === true && node.stored === undefined) this.#add(node);
    }
  }

  /** Does work while nothing is being stored; what is under way is waited for, as it need not be twice. */
  async pausedFor<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#pauses += 1;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      await unlessAborted(this.#running, signal);
      return await work();
    } finally {
      this.#pauses -= 1;
      this.#soon();
    }
  }

  async close(): Promise<void> {
    this.#overlay.files.onQuiet = () => undefined;
    clearTimeout(this.#timer);
    this.#stop.abort();
    await this.#running;
  }

  #add(node: Node): void {
    if (this.#stop.signal.aborted) return;
    this.#waiting.set(node.inode, node);
    this.#soon();
  }

  #soon(): void {
    if (this.#isRunning || this.#pauses > 0) return;
    if (this.#waiting.size === 0 || this.#stop.signal.aborted) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#isRunning = true;
      this.#running = this.#store().finally(() => {
        this.#isRunning = false;
        this.#soon();
      });
    }, WAIT_MS).unref();
  }

  /** Never rejects. */
  async #store(): Promise<void> {
    const { repository, folder, threads, onFault } = this.#options;
    const { signal } = this.#stop;
    const writers = this.#overlay.files.noteWriters();
    try {
      const files = await this.#toStore();
      if (files.length === 0) return;
      const onRows = (rows: readonly FileStored[]): Promise<void> =>
        this.#note(rows, writers.nodes);
      await threads.run('store-changes', { repository, folder, files }, { onRows, signal });
    } catch (error) {
      // The next commit stores them, or says what keeps it from that.
      if (!signal.aborted) onFault(error);
    } finally {
      writers.end();
    }
  }

  async #toStore(): Promise<FileToStore[]> {
    const files: FileToStore[] = [];
    let seen = 0;
    for (const [inode, node] of this.#waiting) {
      if (files.length === FILES_MAX) break;
      this.#waiting.delete(inode);
      if (this.#isWanted(node)) files.push(this.#fileOf(node));
      seen += 1;
      if (seen % ROWS_A_TURN === 0) await giveWay();
    }
    return files;
  }

  #fileOf(node: Node): FileToStore {
    const { inode, state } = node;
    const beneath = state?.beneath;
    const isMapped = this.#overlay.files.isMapped(node);
    return { inode, isOpen: false, isMapped, ...(beneath === undefined ? {} : { beneath }) };
  }

  #isWanted(node: Node): boolean {
    if (node.isGone || node.state?.isStaged !== true) return false;
    const { files } = this.#overlay;
    // Its bytes are on the move: it goes quiet once they are there.
    if (files.isWritten(node) || files.isHydrating(node)) return false;
    return !node.names.every(({ name }) => this.#litter.ignores(name));
  }

  /** @param written files that somebody has opened for writing since: their bytes may be others */
  async #note(rows: readonly FileStored[], written: ReadonlySet<Node>): Promise<void> {
    for (let at = 0; at < rows.length; at += ROWS_A_TURN) {
      const sure = rows.slice(at, at + ROWS_A_TURN).flatMap(({ inode, stored, isSure }) => {
        const node = this.#overlay.node(inode);
        if (node === undefined || stored === undefined || !isSure) return [];
        const isStored = this.#isWanted(node) && !written.has(node);
        return isStored ? [{ inode, node, stored }] : [];
      });
      this.#overlay.journal.write({
        putStored: sure.map(({ inode, stored }) => ({ inode, stored })),
      });
      for (const { node, stored } of sure) node.stored = stored;
      await giveWay();
    }
  }
}
