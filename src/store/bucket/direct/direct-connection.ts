import type { OnReadOpts, Socket } from 'node:net';
import type { AnswerHead } from './answer-head.js';
import { readAnswerHead } from './answer-head.js';
import { TakenOver } from './taken-over.js';

/** What Node's own parser reads of a head, too, at most. */
const HEAD_BYTES_MAX = 16_384;
const HEAD_END = '\r\n\r\n';

/** One request for bytes. */
export interface DirectRequest {
  /** As it is sent, in latin1: its line, its fields, an empty line. */
  readonly text: string;
  /** Where the body goes; nothing is written there any more once there is an answer, or a fault. */
  readonly into: Uint8Array;
  readonly signal: AbortSignal | undefined;
  /** Told of each piece that comes. */
  readonly onProgress: () => void;
}

export type DirectAnswer =
  /** A plain answer, whose body went where it was wanted: less of it where the connection ended before. */
  | { readonly kind: 'filled'; readonly head: AnswerHead; readonly bytes: Uint8Array }
  /** Any other, from its first byte on, for a general parser. */
  | { readonly kind: 'other'; readonly connection: TakenOver };

/** Opens a connection whose bytes come into the buffers that it is given. */
export type Connect = (onread: OnReadOpts) => Socket;

/** The connection was lost before a byte of the answer came: it may have been closed before it was asked. */
export class UnansweredFault extends Error {
  readonly code = 'ECONNRESET';

  constructor(cause: Error | undefined) {
    super('the connection was closed before an answer came', { cause });
  }
}

interface Asked extends DirectRequest {
  readonly settle: (answer: DirectAnswer) => void;
  readonly fail: (error: Error) => void;
  head: AnswerHead | undefined;
  /** Bytes of the body that came. */
  filled: number;
}

/**
 * A connection that carries one request at a time. The system writes the body of a plain answer where the
 * caller wants it: there is no copy, no buffer for each piece, and no byte behind the body is read with it.
 */
export class DirectConnection {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  /** Holds what comes of a head. */
  readonly #room = Buffer.allocUnsafeSlow(HEAD_BYTES_MAX);
  #headBytes = 0;
  #asked: Asked | undefined;
  #takenOver: TakenOver | undefined;
  #isReusable = true;
  #fault: Error | undefined;

  /** @param timeoutMs a request during which nothing comes for so long fails */
  constructor(connect: Connect, timeoutMs: number, onClose: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#socket = connect({
      buffer: () => this.#roomForNext(),
      callback: (length) => this.#came(length),
    });
    this.#socket.setNoDelay(true);
    this.#socket.on('timeout', () => this.#socket.destroy(timedOut(timeoutMs)));
    this.#socket.on('error', (error) => (this.#fault = error));
    this.#socket.on('end', () => this.#takenOver?.ended());
    this.#socket.on('close', () => {
      this.#closed();
      onClose();
    });
  }

  /** Whether it waits for another request. */
  get isFree(): boolean {
    return this.#isReusable && this.#asked === undefined && !this.#socket.destroyed;
  }

  /** @throws UnansweredFault; an AbortError; what the system, or TLS, says of the connection */
  async ask(request: DirectRequest): Promise<DirectAnswer> {
    const { signal, text } = request;
    const stop = (): void => {
      // From here on the system writes nothing into the caller's memory.
      this.#socket.destroy();
      this.#asked?.fail(aborted());
    };
    try {
      return await new Promise((settle, fail) => {
        this.#asked = { ...request, settle, fail, head: undefined, filled: 0 };
        this.#headBytes = 0;
        if (signal?.aborted === true) return stop();
        signal?.addEventListener('abort', stop, { once: true });
        this.#socket.ref();
        this.#socket.setTimeout(this.#timeoutMs);
        this.#socket.write(text, 'latin1');
      });
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #roomForNext(): Uint8Array {
    if (this.#asked?.head === undefined) return this.#room.subarray(this.#headBytes);
    return this.#asked.into.subarray(this.#asked.filled, this.#asked.head.length);
  }

  /** @returns whether more may come */
  #came(length: number): boolean {
    if (this.#takenOver !== undefined) return this.#takenOver.came(this.#copied(length));
    const asked = this.#asked;
    if (asked === undefined) {
      // What comes unasked could be taken for the next answer.
      this.#socket.destroy();
      return false;
    }
    asked.onProgress();
    if (asked.head === undefined) return this.#cameOfHead(asked, length);
    asked.filled += length;
    if (asked.filled === asked.head.length) this.#complete(asked, asked.head);
    return true;
  }

  #cameOfHead(asked: Asked, length: number): boolean {
    const from = Math.max(0, this.#headBytes - HEAD_END.length + 1);
    this.#headBytes += length;
    const found = this.#room.toString('latin1', from, this.#headBytes).indexOf(HEAD_END);
    if (found === -1) return this.#headBytes < HEAD_BYTES_MAX || this.#handOver(asked);
    const head = readAnswerHead(this.#room.toString('latin1', 0, from + found));
    if (head === undefined || head.length > asked.into.length) return this.#handOver(asked);
    const body = this.#room.subarray(from + found + HEAD_END.length, this.#headBytes);
    asked.head = head;
    asked.filled = Math.min(body.length, head.length);
    asked.into.set(body.subarray(0, asked.filled));
    this.#isReusable = head.isKeptAlive && body.length <= head.length;
    if (asked.filled === head.length) this.#complete(asked, head);
    return true;
  }

  #complete(asked: Asked, head: AnswerHead): void {
    this.#asked = undefined;
    this.#headBytes = 0;
    if (this.#isReusable) {
      this.#socket.setTimeout(0);
      // While it waits for another request it keeps no process alive.
      this.#socket.unref();
    } else this.#socket.destroy();
    asked.settle({ kind: 'filled', head, bytes: asked.into.subarray(0, asked.filled) });
  }

  #handOver(asked: Asked): boolean {
    const came = this.#copied(this.#headBytes);
    this.#isReusable = false;
    this.#asked = undefined;
    this.#headBytes = 0;
    this.#takenOver = new TakenOver(this.#socket);
    asked.settle({ kind: 'other', connection: this.#takenOver });
    return this.#takenOver.came(came);
  }

  #copied(length: number): Buffer {
    return Buffer.from(this.#room.subarray(0, length));
  }

  #closed(): void {
    const fault = this.#fault;
    if (fault === undefined) this.#takenOver?.ended();
    else this.#takenOver?.destroy(fault);
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked === undefined) return;
    const { head, into, filled } = asked;
    if (head !== undefined && fault === undefined) {
      asked.settle({ kind: 'filled', head, bytes: into.subarray(0, filled) });
    } else if (this.#headBytes === 0 && isLost(fault)) asked.fail(new UnansweredFault(fault));
    else asked.fail(fault ?? cutShort());
  }
}

function isLost(fault: NodeJS.ErrnoException | undefined): boolean {
  return fault === undefined || fault.code === 'ECONNRESET' || fault.code === 'EPIPE';
}

function aborted(): Error {
  return Object.assign(new Error('the request was given up'), { name: 'AbortError' });
}

function timedOut(ms: number): Error {
  return Object.assign(new Error(`nothing came for ${ms} ms`), { code: 'ETIMEDOUT' });
}

function cutShort(): Error {
  return Object.assign(new Error('the connection ended within the head of the answer'), {
    code: 'ECONNRESET',
  });
}
