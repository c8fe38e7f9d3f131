import type { Commit } from '../../src/model/commit.js';
import type { FrozenView } from '../../src/repo/view.js';

export interface MemoryFile {
  /** Text path; or `key`, one char a byte. */
  readonly path?: string;
  readonly key?: string;
  readonly bytes?: string | Uint8Array;
  readonly symlink?: string;
  readonly mode?: number;
  readonly mtimeMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly contentType?: string;
}

export interface MemoryViewOptions {
  /** Every answer is a promise, also where it is at hand. */
  readonly slow?: boolean;
  /** exact: the whole file, verified. granted: at an offset of a file, to be verified by reading. */
  readonly backing?: 'none' | 'exact' | 'granted';
  readonly commit?: Partial<Commit>;
  /** Called within each Content.read: may make it wait, or fail. */
  readonly onRead?: (key: string, offset: number, signal?: AbortSignal) => Promise<void> | void;
}

export class MemoryView implements FrozenView {
  constructor(files: readonly MemoryFile[], options?: MemoryViewOptions);
  /** Contents open now. */
  readonly opened: number;
  /** Moves of cursors so far. */
  readonly steps: number;
  /** Every Content.read so far. */
  readonly reads: readonly {
    readonly key: string;
    readonly offset: number;
    readonly length: number;
  }[];
  /** Removes the backing files. */
  dispose(): void;
  readonly source: FrozenView['source'];
  get: FrozenView['get'];
  cursor: FrozenView['cursor'];
  totals: FrozenView['totals'];
  open: FrozenView['open'];
  rank: FrozenView['rank'];
  select: FrozenView['select'];
}
