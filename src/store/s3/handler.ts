import { validateHeaderName, validateHeaderValue } from 'node:http';
import { Agent as ConnectingAgent } from 'agent-base';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { HttpHandlerOptions } from '@smithy/types';
import type { Agents, Place } from '../bucket/agents.js';
import { progressed } from '../bucket/deadline.js';
import { FilledBody } from '../bucket/direct/filled-body.js';
import { DirectReads } from '../bucket/direct/direct-reads.js';
import type { TakenOver } from '../bucket/direct/taken-over.js';

type Request = Parameters<NodeHttpHandler['handle']>[0];
type Responding = ReturnType<NodeHttpHandler['handle']>;

/** What a command is sent with. */
export interface SendOptions extends HttpHandlerOptions {
  /** Of a GET: room for the body, nobody else's until the answer is there. It need not be used. */
  readonly into?: Uint8Array | undefined;
}

/**
 * Sends the requests of the SDK. The body of a GET with room for it goes there straight from the system,
 * where no proxy lies between; its answer has a FilledBody then.
 */
export class S3Handler extends NodeHttpHandler {
  readonly #reads: DirectReads | undefined;

  /** @param attemptMs a connection that carries nothing for so long is given up */
  constructor({ httpAgent, httpsAgent, connectTo }: Agents, attemptMs: number) {
    super({ httpAgent, httpsAgent, connectionTimeout: attemptMs, socketTimeout: attemptMs });
    if (connectTo !== undefined) this.#reads = new DirectReads(connectTo, attemptMs);
  }

  override async handle(request: Request, options: SendOptions = {}): Responding {
    const { into } = options;
    const abortSignal = options.abortSignal as AbortSignal | undefined;
    const text = into === undefined ? undefined : textOf(request);
    const place = placeOf(request);
    if (into === undefined || text === undefined || this.#reads?.hasRoom(place) !== true) {
      return super.handle(request, options);
    }
    const answer = await this.#reads.ask(place, {
      text,
      into,
      signal: abortSignal,
      onProgress: () => progressed(abortSignal),
    });
    if (answer.kind === 'other') return readOther(answer.connection, request, options);
    const { status: statusCode, reason, headers } = answer.head;
    return { response: { statusCode, reason, headers, body: new FilledBody(answer.bytes) } };
  }

  override destroy(): void {
    this.#reads?.destroy();
    super.destroy();
  }
}

/** By Node's own parser: a connection over which the request has been sent already. */
function readOther(connection: TakenOver, request: Request, options: SendOptions): Responding {
  const handler = new NodeHttpHandler({ httpAgent: new OneConnection(connection) });
  return handler.handle(Object.assign(request.clone(), { protocol: 'http:' }), options);
}

class OneConnection extends ConnectingAgent {
  readonly #connection: TakenOver;

  constructor(connection: TakenOver) {
    super({ keepAlive: false });
    this.#connection = connection;
  }

  override connect(): Promise<TakenOver> {
    return Promise.resolve(this.#connection);
  }
}

function placeOf({ protocol, hostname, port }: Request): Place {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    isSecure: protocol === 'https:',
    host,
    port: port ?? (protocol === 'https:' ? 443 : 80),
  };
}

/** The request as it is sent; undefined where it is not as plain as those of ranges are. */
function textOf({ method, path, query, headers, username }: Request): string | undefined {
  if (method !== 'GET' || username !== undefined) return undefined;
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== 'string') return undefined;
    pairs.push(`${encoded(name)}=${encoded(value)}`);
  }
  const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
  if (!/^\/[\x21-\x7e]*$/.test(target)) return undefined;
  const lines = Object.entries(headers).map(([name, value]) => {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return `${name}: ${value}\r\n`;
  });
  return `GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** As it was signed. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
