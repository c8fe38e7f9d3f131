import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { HttpAnswer } from './http-answer.js';

/** Answers of the daemon: `rows` streamed and the `result` at the end. */
export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly result: Readonly<Record<string, unknown>>;
}

const PROTOCOL = '1';

/**
 * Speaks to a daemon over its unix socket, one request at a time on a connection that is kept: plain
 * HTTP/1.1 by hand, as the client of node:http takes longer for a request than the daemon does.
 */
export class DaemonSocket {
  readonly #path: string;
  #connection: Connection | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async call(operation: string, args: Readonly<Record<string, unknown>>): Promise<Answer> {
    const text = await this.#post(`/v1/${operation}`, JSON.stringify(args));
    const rows: Record<string, unknown>[] = [];
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const frame = JSON.parse(line) as Frame;
      if (frame.row !== undefined) rows.push(frame.row);
      else if (frame.done !== undefined) return { rows, result: frame.done };
      else if (frame.error !== undefined) throw new Error(`${operation}: ${frame.error.message}`);
    }
    throw new Error(`${operation}: the answer broke off`);
  }

  close(): void {
    this.#connection?.close();
  }

  async #post(path: string, body: string): Promise<string> {
    const kept = this.#connection;
    this.#connection = undefined;
    const request =
      `POST ${path} HTTP/1.1\r\nhost: tarn\r\ntarn-protocol: ${PROTOCOL}\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    // A connection that the daemon has closed meanwhile is only found out by using it.
    const answered = await kept?.exchange(request).catch(() => undefined);
    if (answered !== undefined) {
      this.#connection = kept;
      return answered;
    }
    const connection = new Connection(this.#path);
    const text = await connection.exchange(request);
    this.#connection = connection;
    return text;
  }
}

interface Pending {
  readonly answer: HttpAnswer;
  readonly resolve: (text: string) => void;
  readonly reject: (error: Error) => void;
}

class Connection {
  readonly #socket: Socket;
  #pending: Pending | undefined;

  constructor(path: string) {
    this.#socket = createConnection(path);
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the daemon closed the connection')));
  }

  /** Sends a request; the body of its answer. */
  exchange(request: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection is closed'));
      this.#pending = { answer: new HttpAnswer(), resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const body = this.#pending?.answer.take(chunk);
    if (body === undefined) return;
    this.#pending?.resolve(body);
    this.#pending = undefined;
  }

  #fail(error: Error): void {
    this.#pending?.reject(error);
    this.#pending = undefined;
  }
}

interface Frame {
  readonly row?: Record<string, unknown>;
  readonly done?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}
