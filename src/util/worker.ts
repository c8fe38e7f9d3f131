import { parentPort, Worker, workerData } from 'node:worker_threads';
import type { ErrorKind } from './errors.js';
import { asTarnError, TarnError } from './errors.js';

/** How long an aborted job may take to tidy up before its thread is ended. */
const ABORT_GRACE_MS = 10_000;

export interface JobOptions<P> {
  readonly onProgress?: (progress: P) => void;
  readonly signal?: AbortSignal;
}

type FromWorker<P, R> =
  | { readonly kind: 'progress'; readonly progress: P }
  | { readonly kind: 'done'; readonly result: R }
  | { readonly kind: 'failed'; readonly error: PlainError };

interface PlainError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint: string | undefined;
}

/**
 * Runs a job in a thread of its own and resolves to its result once the thread has ended. When the
 * signal fires the job is told, and the thread ended if it does not stop by itself.
 * @param script path of the built file: a thread loads no TypeScript
 * @throws TarnError as the job threw it; aborted
 */
export async function runJob<I, P, R>(
  script: string,
  input: I,
  { onProgress, signal }: JobOptions<P> = {},
): Promise<R> {
  if (signal?.aborted === true) throw aborted();
  const worker = new Worker(script, { workerData: input, execArgv: [] });
  let kill: NodeJS.Timeout | undefined;
  const stop = (): void => {
    worker.postMessage('abort');
    kill = setTimeout(() => void worker.terminate(), ABORT_GRACE_MS);
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await outcome<P, R>(worker, onProgress);
  } finally {
    signal?.removeEventListener('abort', stop);
    clearTimeout(kill);
    await worker.terminate();
  }
}

function outcome<P, R>(worker: Worker, onProgress?: (progress: P) => void): Promise<R> {
  return new Promise<R>((resolve, reject) => {
    worker.on('message', (message: FromWorker<P, R>) => {
      switch (message.kind) {
        case 'progress':
          return onProgress?.(message.progress);
        case 'done':
          return resolve(message.result);
        case 'failed': {
          const { kind, message: text, hint } = message.error;
          return reject(new TarnError(kind, text, hint === undefined ? {} : { hint }));
        }
      }
    });
    worker.on('error', (error) => reject(asTarnError(error, 'running a worker thread')));
    worker.on('exit', (code) =>
      reject(
        code === 1
          ? aborted()
          : new TarnError('internal', `a worker thread ended early with code ${code}`),
      ),
    );
  });
}

/** The worker's side: runs `work` on the job's input and reports to runJob. */
export async function serveJob<I, P, R>(
  work: (input: I, signal: AbortSignal, onProgress: (progress: P) => void) => Promise<R>,
): Promise<void> {
  const port = parentPort;
  if (port === null) throw new TarnError('internal', 'a job runs only in a worker thread');
  const controller = new AbortController();
  port.on('message', () => controller.abort(aborted()));
  const send = (message: FromWorker<P, R>): void => port.postMessage(message);
  try {
    const report = (progress: P): void => send({ kind: 'progress', progress });
    const result = await work(workerData as I, controller.signal, report);
    send({ kind: 'done', result });
  } catch (thrown) {
    const error = controller.signal.aborted ? aborted() : asTarnError(thrown);
    send({
      kind: 'failed',
      error: { kind: error.kind, message: error.message, hint: error.hint },
    });
  }
}

function aborted(): TarnError {
  return new TarnError('aborted', 'interrupted before it was done');
}
