import { statfs } from 'node:fs/promises';
import { takeFromBeneath } from './change.js';
import type { OpenNode } from './file-table.js';
import type { Overlay } from './overlay.js';

/** Between two looks at the partial files that are open. */
const LOOK_MS = 500;

/**
 * Copies, one file after the other, what partial files have only in the base, where programs have
 * changed so much of one that it will be stored whole anyway: from its next opening on it passes through
 * to the kernel. A file that is closed meanwhile is copied to its end.
 */
export class Hydrator {
  readonly #overlay: Overlay;
  readonly #onFault: (error: unknown) => void;
  readonly #watched = new Set<OpenNode>();
  #timer: NodeJS.Timeout | undefined;
  #running:
    | { readonly open: OpenNode; readonly stop: AbortController; readonly ended: Promise<void> }
    | undefined;
  /** Who wants that nothing is copied now. */
  #pauses = 0;

  constructor(overlay: Overlay, onFault: (error: unknown) => void) {
    this.#overlay = overlay;
    this.#onFault = onFault;
    overlay.files.onPartial = (open) => {
      this.#watched.add(open);
      this.#lookLater();
    };
  }

  /** What was copied up to then stays copied, and is gone on with after `work`. */
  async pausedFor<T>(work: () => Promise<T>): Promise<T> {
    this.#pauses += 1;
    try {
      await this.#end();
      return await work();
    } finally {
      this.#pauses -= 1;
      this.#lookLater();
    }
  }

  async close(): Promise<void> {
    this.#overlay.files.onPartial = () => undefined;
    this.#pauses += 1;
    clearTimeout(this.#timer);
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.ended;
  }

  #lookLater(): void {
    if (this.#watched.size === 0 || this.#pauses > 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#look();
      this.#lookLater();
    }, LOOK_MS).unref();
  }

  #look(): void {
    for (const open of this.#watched) {
      const { node, staged } = open;
      const isPartial = staged !== undefined && !staged.isWhole && !node.isGone;
      if (!isPartial) {
        this.#watched.delete(open);
        if (this.#running?.open === open) this.#running.stop.abort();
      } else if (this.#running === undefined && this.#pauses === 0 && staged.isMostlyStaged()) {
        this.#start(open);
      }
    }
  }

  #start(open: OpenNode): void {
    const { files } = this.#overlay;
    const { node } = open;
    const stop = new AbortController();
    files.attach(node, false);
    open.isHydrating = true;
    const ended = this.#hydrate(open, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) this.#onFault(error);
      })
      .finally(() => {
        this.#running = undefined;
        open.isHydrating = false;
        // What cannot be copied is not tried again before the next opening.
        if (!stop.signal.aborted) this.#watched.delete(open);
        files.detach(open, false);
        if (!node.isGone && !files.isWritten(node)) files.onQuiet(node);
      });
    this.#running = { open, stop, ended };
  }

  async #hydrate({ node, staged, base }: OpenNode, signal: AbortSignal): Promise<void> {
    if (staged === undefined || base === undefined) return;
    const { content } = base;
    const disk = await statfs(this.#overlay.folder);
    // Bytes that are in the base already must not be what fills the disk.
    if (disk.bavail * disk.bsize < 2 * content.size) return;
    await staged.hydrate(content, signal);
    // In this order, since the row says whether there is a base beneath: all that it showed is on the disk.
    takeFromBeneath(this.#overlay, node);
    await this.#overlay.journal.sync();
    staged.becomeWhole();
  }
}
