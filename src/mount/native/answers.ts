import { isPromise, type MaybePromise } from '../../util/async.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { Errno } from '../../vfs/filesystem.js';
import { errnoName, errnoNumber, errnoOf } from '../errno.js';
import type { NativeSession } from './addon.js';
import { Interrupts } from './interrupts.js';

const EINTR = errnoNumber('EINTR');
const ENOENT = errnoNumber('ENOENT');
const EBADF = errnoNumber('EBADF');
const ENODEV = 19;
const ENOTCONN = 107;

/** Of work that nobody can call off. */
export const NEVER = new AbortController().signal;

/** Answers requests of one connection, at once or when what they wait for has come. */
export class Answers {
  readonly native: NativeSession;
  readonly interrupts = new Interrupts();
  readonly #onFault: (error: unknown) => void;
  /** Requests that wait for work that is not called off. */
  readonly #lasting = new Set<number>();
  #spare = new AbortController();

  constructor(native: NativeSession, onFault: (error: unknown) => void) {
    this.native = native;
    this.#onFault = onFault;
  }

  /** To hand to the next call whose answer `when` waits for. */
  get signal(): AbortSignal {
    return this.#spare.signal;
  }

  /** Some request waits for a promise. */
  get isAnyWaiting(): boolean {
    return this.interrupts.isAnyWaiting || this.#lasting.size > 0;
  }

  /**
   * Answers with `reply` now or when the promise settles. If the caller dies meanwhile the signal
   * is aborted, EINTR answered, and what comes later goes to `discard`.
   */
  when<T>(
    unique: number,
    pid: number,
    result: MaybePromise<T>,
    reply: (unique: number, value: T) => void,
    discard?: (value: T) => void,
  ): void {
    if (!isPromise(result)) return reply(unique, result);
    // The signal is now this request's own. Until here it was nobody's, so that calls that are
    // answered at once share one.
    const controller = this.#spare;
    this.#spare = new AbortController();
    this.interrupts.add(unique, pid, () => {
      controller.abort();
      this.send(unique, EINTR, 0);
    });
    this.#settle(unique, result, () => this.interrupts.settled(unique), reply, discard);
  }

  /**
   * As `when`, but nobody calls it off: for what changes names and attributes, of which the kernel
   * would take an EINTR to mean that it was not done.
   */
  whenDone<T>(
    unique: number,
    result: MaybePromise<T>,
    reply: (unique: number, value: T) => void,
    discard?: (value: T) => void,
  ): void {
    if (!isPromise(result)) return reply(unique, result);
    this.#lasting.add(unique);
    this.#settle(unique, result, () => this.#lasting.delete(unique), reply, discard);
  }

  /** Ends every request, as when the connection has gone. */
  endAll(): void {
    this.interrupts.endAll();
    for (const unique of this.#lasting) {
      this.#lasting.delete(unique);
      this.send(unique, ENOTCONN, 0);
    }
  }

  /** An errno, or zero and the first `length` bytes of the shared buffer. Zero or an errno. */
  send(unique: number, error: number, length: number): number {
    return this.sent(this.native.reply(unique, error, length));
  }

  refuse(unique: number, errno: Errno): void {
    this.send(unique, errnoNumber(errno), 0);
  }

  fail(unique: number, thrown: unknown): void {
    const error = asTarnError(thrown);
    if (error.kind !== 'aborted') this.#onFault(error);
    this.refuse(unique, errnoOf(error));
  }

  /** Tells of an answer that the kernel did not take, unless it had stopped waiting for it. */
  sent(error: number): number {
    if (error !== 0 && error !== ENOENT && error !== ENODEV && error !== EBADF) {
      this.#onFault(new TarnError('io', `the kernel refused an answer: ${errnoName(error)}`));
    }
    return error;
  }

  guard(call: () => void): void {
    try {
      call();
    } catch (fault) {
      this.#onFault(fault);
    }
  }

  #settle<T>(
    unique: number,
    result: Promise<T>,
    isWanted: () => boolean,
    reply: (unique: number, value: T) => void,
    discard: ((value: T) => void) | undefined,
  ): void {
    result.then(
      (value) => {
        if (!isWanted()) {
          if (discard !== undefined) this.guard(() => discard(value));
          return;
        }
        try {
          reply(unique, value);
        } catch (fault) {
          this.fail(unique, fault);
        }
      },
      (fault: unknown) => {
        if (isWanted()) this.fail(unique, fault);
      },
    );
  }
}
