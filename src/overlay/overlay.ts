import { join } from 'node:path';
import type { FrozenView } from '../repo/view.js';
import { PORTABLE_CALLS, type FileCalls } from './bytes/file-calls.js';
import { StagedFolder } from './bytes/staged-folder.js';
import { FileTable } from './file-table.js';
import { Journal } from './journal.js';
import { NodeMemory } from './node-memory.js';
import type { Node } from './nodes.js';

export interface OverlayOptions {
  /** Calls that Node lacks; without them slower ones do. */
  readonly calls?: FileCalls;
}

/**
 * What programs changed on a branch and nobody has staged yet, laid over the tree of the branch with
 * what is staged on it (OVERLAY.md). Shared by all mounts of the workspace; in one process only.
 */
export class Overlay extends NodeMemory {
  readonly files: FileTable;
  /** Of the journal and the staged files. */
  readonly folder: string;

  /**
   * @param folder of the workspace's journal and staged files; it must exist
   * @throws TarnError corrupt, unsupported, no-space, denied, io
   */
  static open(folder: string, view: FrozenView, options: OverlayOptions = {}): Overlay {
    const journal = new Journal(join(folder, 'journal.db'));
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
    this.#sweep();
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
    const found = new Set(this.files.folder.numbers());
    for (const number of found) {
      if (this.node(number)?.state?.isStaged !== true) this.files.folder.remove(number);
    }
    for (const node of this.changedNodes()) {
      if (node.state?.isStaged === true && !found.has(node.inode)) this.files.restoreEmpty(node);
    }
  }
}
