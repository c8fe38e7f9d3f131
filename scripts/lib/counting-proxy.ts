import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** With so many milliseconds in which nothing new is asked for, a round has begun. */
const QUIET_MS = 150;

export interface CountedRequest {
  /** `GET`, `PUT`, … */
  readonly method: string;
  /** The path, decoded, without what is asked for behind `?`. */
  readonly path: string;
  /** From 1: requests that were asked for before any of them was answered have one number. */
  readonly round: number;
}

export interface CountingProxy {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** Since it started, or was cleared. */
  readonly requests: readonly CountedRequest[];
  clear(): void;
  /** Resolves when a request that `isIt` holds for has been answered. */
  next(isIt: (request: CountedRequest) => boolean): Promise<void>;
  stop(): Promise<void>;
}

/**
 * An HTTP proxy on the loopback address that tells which requests wait for one another: it holds all
 * that it is asked until nothing more comes, and then lets it go on together, which is one round trip.
 * @param target `http://127.0.0.1:PORT` of the server behind it
 */
export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const agent = new Agent({ keepAlive: true });
  const waiters = new Set<{ isIt: (request: CountedRequest) => boolean; tell: () => void }>();
  let requests: CountedRequest[] = [];
  let held: (() => void)[] = [];
  let round = 0;
  let timer: NodeJS.Timeout | undefined;

  const letGo = (): void => {
    timer = undefined;
    const all = held;
    held = [];
    for (const go of all) go();
  };
  const server = createServer((from, to) => {
    if (timer === undefined) round += 1;
    else clearTimeout(timer);
    timer = setTimeout(letGo, QUIET_MS);
    const { pathname } = new URL(from.url ?? '/', target);
    const counted = { method: from.method ?? '', path: decodeURIComponent(pathname), round };
    requests.push(counted);
    held.push(() => forward(target, agent, from, to));
    to.on('finish', () => {
      for (const waiter of waiters) if (waiter.isIt(counted)) waiter.tell();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    get requests() {
      return requests;
    },
    clear: () => {
      requests = [];
      round = 0;
    },
    next: (isIt) =>
      new Promise((resolve) => {
        const waiter = {
          isIt,
          tell: () => {
            waiters.delete(waiter);
            resolve();
          },
        };
        waiters.add(waiter);
      }),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      agent.destroy();
    },
  };
}

function forward(target: string, agent: Agent, from: IncomingMessage, to: ServerResponse): void {
  const { method, headers } = from;
  const options = { agent, ...(method === undefined ? {} : { method }), headers };
  const asked = request(new URL(from.url ?? '/', target), options, (answer) => {
    to.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(to);
  });
  asked.on('error', () => to.destroy());
  from.pipe(asked);
}
