import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { TarnError } from '../util/errors.js';
import { encodeFrame, toWireError } from './frames.js';
import type { Progress } from './protocol.js';
import { PROTOCOL, PROTOCOL_HEADER, VERSION, VERSION_HEADER } from './protocol.js';

/** Rows are gathered into writes of about this many characters. */
const BATCH_CHARS = 32_768;
/** Least time between two progress frames. */
const PROGRESS_INTERVAL_MS = 100;

const HEADERS = {
  'content-type': 'application/x-ndjson',
  [PROTOCOL_HEADER]: String(PROTOCOL),
  [VERSION_HEADER]: VERSION,
};

/** The stream an operation answers with. Awaiting a call is what keeps a slow reader's rows few. */
export class Output<Row> {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;
  #batch = '';
  #progressMs = 0;

  constructor(response: ServerResponse, signal: AbortSignal) {
    this.#response = response;
    response.sendDate = false;
    this.#signal = signal;
  }

  row(row: Row): Promise<void> | undefined {
    this.#batch += encodeFrame({ row });
    return this.#batch.length >= BATCH_CHARS ? this.flush() : undefined;
  }

  /** Raw bytes; they are the stream's until the promise resolves. */
  async bytes(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    this.#batch += encodeFrame({ bytes: bytes.length });
    await this.flush();
    await this.#write(bytes);
  }

  /** At most some a second, and none while the reader is behind. */
  progress(progress: Progress): void {
    const nowMs = performance.now();
    if (nowMs - this.#progressMs < PROGRESS_INTERVAL_MS || this.#response.writableNeedDrain) return;
    this.#progressMs = nowMs;
    this.#begin(200);
    this.#response.write(encodeFrame({ progress }));
  }

  async flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = '';
    if (batch !== '') await this.#write(batch);
  }

  done(result: unknown): void {
    this.#signal.throwIfAborted();
    this.#end(200, encodeFrame({ done: result }));
  }

  /**
   * Ends the stream with `error`; what was sent before it was true.
   * @param status of HTTP, where nothing was sent yet
   * @param isForNext nothing was done, and the next daemon can be asked
   */
  fail(error: TarnError, status: number, isForNext: boolean): void {
    const wire = isForNext ? { ...toWireError(error), isForNext } : toWireError(error);
    this.#end(status, encodeFrame({ error: wire }));
  }

  /** A short answer goes out whole in one write, its length in front. */
  #end(status: number, last: string): void {
    const rest = this.#batch + last;
    this.#batch = '';
    this.#begin(status, rest);
    this.#response.end(rest);
  }

  /** @param whole the answer, where that is known */
  #begin(status: number, whole?: string): void {
    if (this.#response.headersSent) return;
    const length = whole === undefined ? {} : { 'content-length': Buffer.byteLength(whole) };
    this.#response.writeHead(status, { ...HEADERS, ...length });
  }

  async #write(data: Uint8Array | string): Promise<void> {
    this.#signal.throwIfAborted();
    this.#begin(200);
    if (this.#response.write(data)) return;
    await once(this.#response, 'drain', { signal: this.#signal });
  }
}
