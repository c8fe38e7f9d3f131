import { readFileSync } from 'node:fs';

/** How often a caller that got a signal it survives is looked at again. */
const RECHECK_MS = 100;
/** Interrupts kept that came before their request; more are never in flight together. */
const EARLY_MAX = 256;

/**
 * Requests that wait for a promise, and the interrupts that end them.
 *
 * The kernel interrupts a request for any signal that its caller gets. Only a signal that kills the
 * caller ends the request, as on a disk: otherwise a profiler's or a timer's signal would make a
 * plain read fail with EINTR, or with SIGBUS in a memory map.
 */
export class Interrupts {
  readonly #waiting = new Map<number, Waiting>();
  readonly #early = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  /** Some request waits for a promise. */
  get isAnyWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** `end` is called at most once, when the caller dies before `settled`. */
  add(unique: number, pid: number, end: () => void): void {
    this.#waiting.set(unique, { pid, end, signalled: false });
    if (this.#early.delete(unique)) this.interrupt(unique);
  }

  /** False when the request was ended by an interrupt, and so needs no answer any more. */
  settled(unique: number): boolean {
    return this.#waiting.delete(unique);
  }

  interrupt(unique: number): void {
    const waiting = this.#waiting.get(unique);
    if (waiting === undefined) {
      // Reader threads may pass on an interrupt before its request. Most of these are answered
      // requests, though, and never looked up.
      if (this.#early.size >= EARLY_MAX) this.#early.clear();
      this.#early.add(unique);
      return;
    }
    waiting.signalled = true;
    this.#endIfDying(unique, waiting);
    if (this.#waiting.has(unique)) this.#recheckSoon();
  }

  /** Ends every request, as when the connection has gone. */
  endAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [unique, waiting] of this.#waiting) {
      this.#waiting.delete(unique);
      waiting.end();
    }
  }

  #endIfDying(unique: number, waiting: Waiting): void {
    if (!isDying(waiting.pid)) return;
    this.#waiting.delete(unique);
    waiting.end();
  }

  /** The kernel reports only the first signal of a request; a later one may be the one that kills. */
  #recheckSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      let more = false;
      for (const [unique, waiting] of this.#waiting) {
        if (!waiting.signalled) continue;
        this.#endIfDying(unique, waiting);
        more ||= this.#waiting.has(unique);
      }
      if (more) this.#recheckSoon();
    }, RECHECK_MS).unref();
  }
}

interface Waiting {
  /** Thread that waits; 0 when it is outside of our pid namespace. */
  readonly pid: number;
  readonly end: () => void;
  signalled: boolean;
}

/** SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH: do not kill by default. */
const HARMLESS = [17, 18, 19, 20, 21, 22, 23, 28].reduce(
  (mask, signal) => mask | (1n << BigInt(signal - 1)),
  0n,
);
const SIGKILL = 1n << 8n;

/** Whether the thread has a signal pending that kills it; true when nothing can be learned. */
function isDying(pid: number): boolean {
  if (pid === 0) return true;
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return true;
  }
  const mask = (field: string): bigint => {
    const hex = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return hex === undefined ? 0n : BigInt(`0x${hex}`);
  };
  const pending = mask('SigPnd') | mask('ShdPnd');
  // Once a signal is sure to kill, the kernel shows SIGKILL as pending; not so for core dumps.
  if ((pending & SIGKILL) !== 0n) return true;
  return (pending & ~(mask('SigBlk') | mask('SigIgn') | mask('SigCgt') | HARMLESS)) !== 0n;
}
