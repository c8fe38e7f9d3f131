import { isPromise, type MaybePromise } from '../../util/async.js';
import { asTarnError } from '../../util/errors.js';
import type { Errno, Filesystem, OpenedFile } from '../../vfs/filesystem.js';
import type { MountOptions } from '../driver.js';
import { errnoNumber, errnoOf } from '../errno.js';
import type { AnswerWith } from './package.js';

/** libfuse keeps 64 bits of handle, the package passes on 31 of them; 0 means none. */
const HANDLE_MAX = 2 ** 31 - 1;

/** What all answers of a mount have in common: how they get to libfuse, and which files are open. */
export class Serving {
  readonly options: MountOptions;
  readonly #filesystem: Filesystem;
  readonly #ended = new AbortController();
  readonly #open = new Map<number, OpenedFile>();
  #lastHandle = 0;

  constructor(filesystem: Filesystem, options: MountOptions) {
    this.#filesystem = filesystem;
    this.options = options;
  }

  /** Fires at the end of the mount. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Lets go of every open file; the calls that still come are answered with EIO. */
  end(): void {
    this.#ended.abort();
    for (const { handle } of this.#open.values()) this.#filesystem.release(handle);
    this.#open.clear();
  }

  /** A handle for libfuse. */
  opened(file: OpenedFile): number {
    do {
      this.#lastHandle = (this.#lastHandle % HANDLE_MAX) + 1;
    } while (this.#open.has(this.#lastHandle));
    this.#open.set(this.#lastHandle, file);
    return this.#lastHandle;
  }

  file(handle: number): OpenedFile | undefined {
    return this.#open.get(handle);
  }

  release(handle: number): void {
    const file = this.#open.get(handle);
    this.#open.delete(handle);
    if (file !== undefined) this.#filesystem.release(file.handle);
  }

  fault(fault: unknown): void {
    if (!this.signal.aborted) this.options.onFault(fault);
  }

  /** Brings the outcome of `ask` to libfuse: exactly one answer, whatever happens. */
  settle<T, U = T>(
    ask: () => MaybePromise<T | Errno>,
    answer: AnswerWith<U>,
    convert?: (value: T) => U,
  ): void {
    const give = (value: T | Errno): void => {
      if (typeof value === 'string') answer(numberOf(value as Errno));
      else answer(0, convert === undefined ? (value as unknown as U) : convert(value));
    };
    const fail = (fault: unknown): void => {
      this.fault(fault);
      answer(numberOf(errnoOf(asTarnError(fault))));
    };
    try {
      const outcome = ask();
      if (isPromise(outcome)) outcome.then(give).catch(fail);
      else give(outcome);
    } catch (fault) {
      fail(fault);
    }
  }
}

/** The errno as a negative number of this machine. */
export function numberOf(errno: Errno): number {
  return -errnoNumber(errno);
}
