import { join } from 'node:path';
import type { Key } from '../model/path.js';
import type { FrozenView } from '../repo/view.js';
import type { Inode } from '../vfs/filesystem.js';
import { PORTABLE_CALLS, type FileCalls } from './bytes/file-calls.js';
import { StagedFolder } from './bytes/staged-folder.js';
import { FileTable } from './file-table.js';
import { follow } from './follow.js';
import { restoreUnnamed } from './held-by-kernel.js';
import { Journal, type Checkpointer } from './journal/journal.js';
import { NodeMemory } from './node-memory.js';
import type { Node } from './nodes.js';
import { rebase } from './rebase.js';
import type { Absorbed } from './snapshot.js';

export interface OverlayOptions {
  /** Calls that Node lacks; without them slower ones do. */
  readonly calls?: FileCalls;
  /** Without one, some changes wait for the disk. */
  readonly checkpointer?: Checkpointer;
  /** Nodes without names that a kernel still holds, as noted by an earlier process (NodeNotes). */
  readonly unnamed?: ReadonlyMap<Inode, string>;
}

/**
 * What programs changed on a branch and nobody has staged yet, laid over the tree of the branch with
 * what is staged on it (OVERLAY.md). Shared by all mounts of the workspace; in one process only.
 */
export class Overlay extends NodeMemory {
  readonly files: FileTable;
  /** Of the journal and the staged files. */
  readonly folder: string;
  #unnamed: readonly Node[];

  /**
   * @param folder of the workspace's journal and staged files; it must exist
   * @throws TarnError corrupt, unsupported, no-space, denied, io
   */
  static open(folder: string, view: FrozenView, options: OverlayOptions = {}): Overlay {
    const journal = new Journal(join(folder, 'journal.db'), options.checkpointer);
    try {
      return new Overlay(folder, journal, view, options);
    } catch (error) {
      journal.close();
      throw error;
    }
  }

  private constructor(folder: string, journal: Journal, view: FrozenView, options: OverlayOptions) {
    super(journal, view);
    this.folder = folder;
    const staged = new StagedFolder(join(folder, 'files'), options.calls ?? PORTABLE_CALLS);
    this.files = new FileTable(this, staged);
    this.#unnamed = restoreUnnamed(this, options.unnamed ?? new Map());
    this.#sweep();
  }

  /**
   * A new base, which has what was absorbed of a snapshot of this overlay; its other differences from
   * the base before are to be told by `follow`.
   * @throws TarnError no-space, io, corrupt; then nothing has changed
   */
  rebase(view: FrozenView, absorbed?: Absorbed): void {
    rebase(this, this.files, view, absorbed);
  }

  /**
   * Tells the kernels of all mounts what differs since the last rebase.
   * @param keys where the base before and the present one differ
   */
  follow(keys: AsyncIterable<Key> | Iterable<Key>, signal: AbortSignal): Promise<void> {
    return follow(this, this.files, keys, signal);
  }

  /** Nodes without names live from now on only as long as somebody uses them. */
  letGoOfUnnamed(): void {
    for (const node of this.#unnamed) this.unuse(node);
    this.#unnamed = [];
  }

  /** Nothing may be under way. */
  async close(): Promise<void> {
    await this.files.close();
    this.journal.close();
  }

  protected override isOpen(node: Node): boolean {
    return this.files.isOpen(node);
  }

  protected override discardBytes(node: Node): void {
    this.files.discard(node);
  }

  /** Makes staged files those of the journal, whatever the end of a process or power cut left. */
  #sweep(): void {
    const { folder } = this.files;
    const found = new Set(folder.numbers());
    for (const number of found) {
      if (this.node(number)?.state?.isStaged !== true) folder.remove(number);
    }
    for (const node of this.changedNodes()) {
      const { isStaged, beneath } = node.state ?? {};
      if (isStaged !== true) continue;
      const isThere =
        beneath === undefined ? found.has(node.inode) : folder.isThere(node.inode, true);
      if (!isThere) this.files.restore(node);
    }
  }
}
