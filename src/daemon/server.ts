import { chmod, mkdir, rename, unlink } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { dirname } from 'node:path';
import { asTarnError, isOurs, TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import type { Context } from './context.js';
import type { Handlers } from './operation.js';
import { Output } from './output.js';
import { checkPrivateDirectory } from '../util/private-directory.js';
import type { OperationName } from './protocol.js';
import {
  ANY_PROTOCOL,
  BODY_BYTES_MAX,
  PROTOCOL,
  PROTOCOL_HEADER,
  protocolRefusal,
  VERSION,
  VERSION_HEADER,
} from './protocol.js';

/** Requests at once; more are refused rather than queued without end. */
const REQUESTS_MAX = 64;
const LAST_ANSWER_MS_MAX = 1_000;
/** Bytes of an answer that may wait for its reader. */
const UNSENT_BYTES_MAX = 131_072;
/** For short requests that run when the daemon stops. */
const GRACE_MS = 500;

/** The control socket: HTTP/1.1 over a unix socket that only this user can reach. */
export class ControlServer {
  readonly #server: Server;
  readonly #context: Context;
  readonly #handlers: Handlers;
  readonly #running = new Map<AbortController, Promise<void>>();
  #stopping = false;

  constructor(context: Context, handlers: Handlers) {
    this.#context = context;
    this.#handlers = handlers;
    const options = { requestTimeout: 60_000, highWaterMark: UNSENT_BYTES_MAX };
    this.#server = createServer(options, (request, response) => this.#accept(request, response));
    this.#server.maxConnections = REQUESTS_MAX * 2;
  }

  /** Listens under another name first, so that who can see the socket can connect to it. */
  async listen(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    checkPrivateDirectory(dirname(path));
    const early = `${path}.${process.pid}`;
    await unlink(early).catch(ignoreMissing);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(early, resolve);
    });
    await chmod(early, 0o600);
    await rename(early, path);
  }

  /**
   * Lets the requests that run, but `except`, end within a moment, aborts the rest and waits for them. Later ones are refused in words,
   * until closed(): they may have come through the socket before it went.
   */
  async stop(except?: AbortSignal): Promise<void> {
    this.#stopping = true;
    const others = [...this.#running].filter(([{ signal }]) => signal !== except);
    const ended = Promise.all(others.map(([, end]) => end));
    await Promise.race([ended, afterMs(GRACE_MS)]);
    for (const [controller] of others) {
      controller.abort(new TarnError('aborted', 'the daemon is stopping'));
    }
    await ended;
  }

  /** Answers the last that came through the socket, for a moment at most, and ends. */
  async closed(): Promise<void> {
    // Two turns: what waits to be accepted is accepted in the next poll, not by close.
    await giveWay();
    await giveWay();
    await Promise.race([
      new Promise((resolve) => this.#server.close(resolve)),
      afterMs(LAST_ANSWER_MS_MAX),
    ]);
    this.#server.closeAllConnections();
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    const controller = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) controller.abort(new TarnError('aborted', 'the peer left'));
    });
    response.on('error', () => undefined);
    const ended = this.#answer(request, response, controller.signal).finally(() => {
      this.#running.delete(controller);
    });
    this.#running.set(controller, ended);
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const output = new Output<never>(response, signal);
    let isAdmitted = false;
    try {
      const name = this.#admit(request);
      isAdmitted = true;
      const body = parseBody(await readBody(request));
      signal.throwIfAborted();
      output.done(await this.#run(name, body, output, signal));
    } catch (error) {
      const fault = signal.aborted ? asTarnError(signal.reason) : asTarnError(error);
      if (isOurs(fault)) this.#context.log.fault('request', error, { url: request.url });
      if (!response.destroyed) output.fail(fault, statusOf(fault), !isAdmitted && this.#stopping);
    }
  }

  /** @throws TarnError */
  #admit(request: IncomingMessage): OperationName {
    const name = request.url?.startsWith('/v1/') === true ? request.url.slice(4) : '';
    const protocol = Number(request.headers[PROTOCOL_HEADER]);
    if (!ANY_PROTOCOL.has(name)) {
      const version = String(request.headers[VERSION_HEADER] ?? 'of no stated version');
      const refusal = protocolRefusal(
        { protocol: Number.isInteger(protocol) ? protocol : 0, version },
        { protocol: PROTOCOL, version: VERSION },
      );
      if (refusal !== undefined) throw new TarnError(refusal.kind, refusal.message, refusal);
    }
    if (request.method !== 'POST' || !Object.hasOwn(this.#handlers, name)) {
      throw new TarnError('not-found', `the daemon has no '${request.method} ${request.url}'`);
    }
    if (this.#stopping) {
      throw new TarnError('unavailable', 'the daemon is stopping', { hint: 'try again' });
    }
    if (this.#running.size >= REQUESTS_MAX) {
      throw new TarnError('unavailable', `the daemon runs ${REQUESTS_MAX} requests already`, {
        hint: 'wait until some have ended and run the command again',
      });
    }
    return name as OperationName;
  }

  async #run<K extends OperationName>(
    name: K,
    body: unknown,
    output: Output<never>,
    signal: AbortSignal,
  ): Promise<unknown> {
    const handler = this.#handlers[name];
    return handler.run(this.#context, handler.read(body), output, signal);
  }
}

/** By its events: iterating over a request costs more than all else that a short one needs. */
function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
      else reject(tooLarge());
    });
    request.on('end', () =>
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)),
    );
    request.on('error', reject);
  });
}

function parseBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch (error) {
    throw new TarnError('invalid', 'the request is not JSON', { cause: error });
  }
}

function tooLarge(): TarnError {
  return new TarnError('too-large', `a request may have ${BODY_BYTES_MAX} bytes at most`, {
    hint: 'split the command into several, or name a folder instead of its files',
  });
}

/** Keeps no process alive. */
function afterMs(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

function statusOf(error: TarnError): number {
  switch (error.kind) {
    case 'not-found':
      return 404;
    case 'exists':
    case 'conflict':
    case 'busy':
    case 'not-empty':
    case 'nothing-to-commit':
      return 409;
    case 'invalid':
    case 'ambiguous':
    case 'is-directory':
    case 'not-directory':
      return 400;
    case 'too-large':
      return 413;
    case 'denied':
    case 'read-only':
      return 403;
    case 'unavailable':
    case 'aborted':
      return 503;
    case 'unsupported':
      return 501;
    case 'no-space':
      return 507;
    case 'corrupt':
    case 'io':
    case 'internal':
      return 500;
  }
}
