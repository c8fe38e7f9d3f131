import type { ErrorKind } from '../../util/errors.js';
import type { TrafficCounts } from '../../store/traffic.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { JobProgress, JobTarget } from './job.js';

/** What a thread is told when it starts. */
export interface AboutThread {
  /** A directory. */
  readonly home: string;
  /** For jobs that have what processor time others leave. */
  readonly isBackground: boolean;
}

/** What the thread of the jobs is told; it runs one job at a time. */
export type ToThread =
  | { readonly kind: 'run'; readonly name: string; readonly input: JobTarget }
  | { readonly kind: 'abort' }
  /** A batch of rows was taken. */
  | { readonly kind: 'taken' }
  | { readonly kind: 'forget'; readonly repository: string }
  | { readonly kind: 'end' };

export type FromThread =
  | { readonly kind: 'progress'; readonly progress: JobProgress }
  | { readonly kind: 'rows'; readonly rows: readonly unknown[] }
  | { readonly kind: 'done'; readonly result: unknown; readonly traffic: TrafficCounts }
  | { readonly kind: 'failed'; readonly error: PlainError; readonly traffic: TrafficCounts }
  | { readonly kind: 'forgotten' };

/** Batches of rows on their way: one is read while the next is made. */
export const BATCHES_MAX = 2;

/** An error as it crosses to another thread. */
export interface PlainError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint: string | undefined;
  /** Where it came from, for the log. */
  readonly stack: string | undefined;
}

export function plainError(thrown: unknown): PlainError {
  const { kind, message, hint, cause, stack } = asTarnError(thrown);
  return { kind, message, hint, stack: cause instanceof Error ? cause.stack : stack };
}

export function fromPlainError({ kind, message, hint, stack }: PlainError): TarnError {
  const error = new TarnError(kind, message, hint === undefined ? {} : { hint });
  if (stack !== undefined) error.stack = stack;
  return error;
}

export function abortedJob(): TarnError {
  return new TarnError('aborted', 'interrupted before it was done');
}
