import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/**
 * A connection whose request was sent and whose answer has begun, for Node's own client: what that writes
 * was sent before, and what it reads is the answer from its first byte on.
 */
export class TakenOver extends Duplex {
  readonly #socket: Socket;
  #isEnded = false;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    // Whoever reads hears of it; there may be nobody yet.
    this.on('error', () => undefined);
  }

  /** @returns whether more may come */
  came(bytes: Buffer): boolean {
    return this.push(bytes);
  }

  /** Nothing more comes. */
  ended(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.push(null);
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(_bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }

  /** The client has what it wants. */
  override _final(done: () => void): void {
    done();
    this.destroy();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  /** What the client asks of a socket. Who opened the connection has seen to it. */
  setTimeout(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }
}
