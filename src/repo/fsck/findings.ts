import type { ErrorKind } from '../../util/errors.js';
import { asTarnError } from '../../util/errors.js';

/** Something that is not as it must be. */
export interface Fault {
  readonly kind: ErrorKind;
  /** Names the object and what is wrong with it. */
  readonly message: string;
  /** What leads to it: a ref, a commit, a path in a commit. */
  readonly where: string;
}

export interface Counts {
  refs: number;
  commits: number;
  /** Tree nodes, each once. */
  nodes: number;
  /** Entries of the leaves among them. */
  entries: number;
  /** Objects that hold content: packs, whole files, imported files. */
  contents: number;
  /** Bytes of content that were read and hashed. */
  bytes: number;
  faults: number;
}

/** What a check has seen so far; faults are handed on as they are found. */
export class Findings {
  readonly counts: Counts = {
    refs: 0,
    commits: 0,
    nodes: 0,
    entries: 0,
    contents: 0,
    bytes: 0,
    faults: 0,
  };
  readonly #onFault: (fault: Fault) => Promise<void>;
  readonly #onProgress: (counts: Counts) => void;
  readonly #seen = new Set<string>();

  constructor(onFault: (fault: Fault) => Promise<void>, onProgress: (counts: Counts) => void) {
    this.#onFault = onFault;
    this.#onProgress = onProgress;
  }

  /** Called often, as counts grow. */
  progress(): void {
    this.#onProgress(this.counts);
  }

  /**
   * Runs `check`; false when it found a fault, which is noted. The same fault is noted once, by what
   * led to it first.
   * @throws TarnError aborted, and faults that say nothing about the repository (no-space, internal)
   */
  async hold(where: string, check: () => Promise<void> | void): Promise<boolean> {
    try {
      await check();
      return true;
    } catch (error) {
      const { kind, message } = asTarnError(error);
      if (!IS_FINDING.has(kind)) throw error;
      if (!this.#seen.has(message)) {
        this.#seen.add(message);
        this.counts.faults += 1;
        await this.#onFault({ kind, message, where });
      }
      return false;
    }
  }
}

const IS_FINDING: ReadonlySet<ErrorKind> = new Set([
  'not-found',
  'invalid',
  'corrupt',
  'unsupported',
  'denied',
  'io',
]);
