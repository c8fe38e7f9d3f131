import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/**
 * A TCP proxy on the loopback address that makes a local server as far away as a real one, or as bad.
 * What a client sends after it was answered counts as a request.
 */
export interface ProxyRules {
  /** Milliseconds that each request waits before it goes on. */
  readonly latencyMs?: number;
  /** What a connection carries in each direction. */
  readonly bytesPerSecond?: number;
  /**
   * What is done to the request with this number, counted from 0 over all connections, whose first
   * line is `GET /bucket/key HTTP/1.1`.
   */
  readonly fault?: (request: number, line: string) => ProxyFault | undefined;
}

export type ProxyFault =
  /** The connection is reset before the request goes on. */
  | { readonly kind: 'reset' }
  /** The request goes on, and the connection is reset instead of an answer. */
  | { readonly kind: 'lost-answer' }
  /** Nothing goes on any more, and the connection stays open until the client gives it up. */
  | { readonly kind: 'stall'; readonly onGivenUp?: () => void }
  /** The connection ends, or is reset, after so many bytes of the answer. */
  | { readonly kind: 'truncate'; readonly afterBytes: number; readonly isReset?: boolean }
  /** A byte of the answer's body is another. */
  | { readonly kind: 'corrupt' }
  /** S3's answer for this error; `isDone` when the request goes on all the same. */
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly code: string;
      readonly isDone?: boolean;
    };

export interface SlowProxy {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  rules: ProxyRules;
  /** Requests, and connections, since it started. */
  readonly requests: number;
  readonly connections: number;
  /** Bytes that came from the server. */
  readonly bytesAnswered: number;
  stop(): Promise<void>;
}

/** @param target `http://127.0.0.1:PORT` of the server behind it */
export async function startSlowProxy(target: string, rules: ProxyRules = {}): Promise<SlowProxy> {
  const { hostname, port } = new URL(target);
  const state: State = { rules, requests: 0, connections: 0, bytesAnswered: 0 };
  const open = new Set<Socket>();
  const rooms = new Rooms();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    let answered = (_chunk: Buffer): void => undefined;
    const upstream = connect({
      port: Number(port),
      host: hostname,
      allowHalfOpen: true,
      // Answers are most of what goes through: so many buffers as chunks would cost more than the rest.
      onread: {
        buffer: () => rooms.take(),
        callback: (length, room) => {
          answered(Buffer.from(room.buffer, room.byteOffset, length));
          return true;
        },
      },
    });
    upstream.setNoDelay(true);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.on('error', () => undefined);
    }
    const connection = new Connection(client, upstream, state, rooms);
    answered = (chunk) => connection.answer(chunk);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  return {
    endpoint: `http://127.0.0.1:${own}`,
    get rules() {
      return state.rules;
    },
    set rules(next: ProxyRules) {
      state.rules = next;
    },
    get requests() {
      return state.requests;
    },
    get connections() {
      return state.connections;
    },
    get bytesAnswered() {
      return state.bytesAnswered;
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

interface State {
  rules: ProxyRules;
  requests: number;
  connections: number;
  bytesAnswered: number;
}

/** Buffers that hold what comes from the server until it has gone on. */
class Rooms {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(ROOM_BYTES);
  }

  /** @param chunk from the start of a buffer that was taken */
  giveBack(chunk: Buffer): void {
    if (chunk.buffer.byteLength !== ROOM_BYTES || this.#free.length >= FREE_ROOMS_MAX) return;
    this.#free.push(Buffer.from(chunk.buffer));
  }
}

class Connection {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #state: State;
  #wasAnswered = true;
  #fault: ProxyFault | undefined;
  /** The first line of the request. */
  #line = '';
  /** Bytes of the answer so far. */
  #answered = 0;

  readonly #answers: Lane;

  constructor(client: Socket, upstream: Socket, state: State, rooms: Rooms) {
    this.#client = client;
    this.#upstream = upstream;
    this.#state = state;
    state.connections += 1;
    const requests = new Lane(client, upstream, () => state.rules.bytesPerSecond);
    const rate = (): number | undefined => state.rules.bytesPerSecond;
    const answers = new Lane(upstream, client, rate, (chunk) => rooms.giveBack(chunk));
    this.#answers = answers;
    client.on('data', (chunk: Buffer) => requests.push(chunk, this.#beforeChunk(chunk)));
    client.on('end', () => requests.end());
    upstream.on('end', () => answers.end());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => answers.end());
  }

  /** Milliseconds to wait before the chunk goes on; undefined when it never does. */
  #beforeChunk(chunk: Buffer): number | undefined {
    if (!this.#wasAnswered) return this.#isHeldUp ? undefined : 0;
    this.#wasAnswered = false;
    this.#answered = 0;
    this.#line = chunk.toString('latin1', 0, LINE_BYTES_MAX).split('\r\n', 1)[0] ?? '';
    const { rules } = this.#state;
    const fault = rules.fault?.(this.#state.requests, this.#line);
    this.#fault = fault;
    this.#state.requests += 1;
    if (fault?.kind === 'reset') this.#reset();
    if (fault?.kind === 'stall' && fault.onGivenUp !== undefined) {
      this.#client.once('end', fault.onGivenUp).once('close', fault.onGivenUp);
    }
    if (fault?.kind === 'error' && fault.isDone !== true) this.#answerError(fault);
    return this.#isHeldUp ? undefined : (rules.latencyMs ?? 0);
  }

  /** Whether nothing of the request goes on. */
  get #isHeldUp(): boolean {
    const fault = this.#fault;
    return fault?.kind === 'stall' || (fault?.kind === 'error' && fault.isDone !== true);
  }

  answer(chunk: Buffer): void {
    const answers = this.#answers;
    this.#state.bytesAnswered += chunk.length;
    const fault = this.#fault;
    // Only that the body may come: the answer follows.
    if (chunk.subarray(0, CONTINUE.length).equals(CONTINUE)) return answers.push(chunk, 0);
    this.#wasAnswered = true;
    if (fault?.kind === 'lost-answer') this.#reset();
    else if (fault?.kind === 'error') this.#answerError(fault);
    else if (fault?.kind === 'truncate' && this.#answered + chunk.length > fault.afterBytes) {
      answers.push(chunk.subarray(0, fault.afterBytes - this.#answered), 0);
      answers.end(fault.isReset === true);
      this.#upstream.destroy();
    } else answers.push(fault?.kind === 'corrupt' ? this.#corrupted(chunk) : chunk, 0);
    this.#answered += chunk.length;
  }

  /** With another last byte, which is one of the body; once. */
  #corrupted(chunk: Buffer): Buffer {
    const isHead = this.#answered === 0 && chunk.subarray(-HEAD_END.length).equals(HEAD_END);
    if (isHead) return chunk;
    this.#fault = undefined;
    const copy = Buffer.from(chunk);
    copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
    return copy;
  }

  #answerError({ status, code }: ProxyFault & { kind: 'error' }): void {
    const body = this.#line.startsWith('HEAD ')
      ? ''
      : `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
    const head = `HTTP/1.1 ${status} ${code}\r\nconnection: close\r\ncontent-type: application/xml\r\ncontent-length: ${body.length}\r\n\r\n`;
    this.#client.end(`${head}${body}`);
    this.#upstream.destroy();
  }

  #reset(): void {
    this.#client.resetAndDestroy();
    this.#upstream.destroy();
  }
}

/** One direction of a connection: chunks go on in order, after their wait, no faster than the limit. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #bytesPerSecond: () => number | undefined;
  readonly #onGone: (chunk: Buffer) => void;
  #tail: Promise<void> = Promise.resolve();
  /** When the last chunk has gone on, by the limit: milliseconds. */
  #freeAtMs = 0;
  #waiting = 0;

  /** @param onGone told when a chunk is nobody's any more */
  constructor(
    from: Socket,
    to: Socket,
    bytesPerSecond: () => number | undefined,
    onGone: (chunk: Buffer) => void = () => undefined,
  ) {
    this.#from = from;
    this.#to = to;
    this.#bytesPerSecond = bytesPerSecond;
    this.#onGone = onGone;
  }

  push(chunk: Buffer, waitMs: number | undefined): void {
    if (waitMs === undefined) return;
    const dueMs = performance.now() + waitMs;
    this.#waiting += chunk.length;
    if (this.#waiting > WAITING_BYTES_MAX) this.#from.pause();
    this.#tail = this.#tail.then(async () => {
      await until(Math.max(dueMs, this.#freeAtMs));
      const rate = this.#bytesPerSecond();
      const nowMs = performance.now();
      // Timers wake late: what was missed is caught up with, up to a little.
      if (rate !== undefined) {
        const startMs = Math.max(this.#freeAtMs, nowMs - LATE_MS_MAX);
        this.#freeAtMs = startMs + (chunk.length / rate) * 1000;
      }
      await written(this.#to, chunk);
      this.#onGone(chunk);
      this.#waiting -= chunk.length;
      if (this.#waiting <= WAITING_BYTES_MAX) this.#from.resume();
    });
  }

  end(isReset = false): void {
    this.#tail = this.#tail.then(() => {
      if (isReset) this.#to.resetAndDestroy();
      else if (!this.#to.destroyed) this.#to.end();
    });
  }
}

const LINE_BYTES_MAX = 4_096;
const HEAD_END = Buffer.from('\r\n\r\n');
const CONTINUE = Buffer.from('HTTP/1.1 100 ');

const WAITING_BYTES_MAX = 1_048_576;
const ROOM_BYTES = 262_144;
const FREE_ROOMS_MAX = 64;
const LATE_MS_MAX = 2;

/** Resolves when the kernel has it, or the connection is gone. */
async function written(socket: Socket, chunk: Buffer): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket.write(chunk, () => resolve());
  });
}

async function until(atMs: number): Promise<void> {
  const ms = atMs - performance.now();
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
