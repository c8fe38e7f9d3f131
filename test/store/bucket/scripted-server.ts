import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

export interface ScriptedServer {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** The heads of the requests that came, over all connections. */
  readonly requests: readonly string[];
  /** Connections that were made. */
  readonly connections: number;
  stop(): Promise<void>;
}

/** What is sent for the request of this number, piece by piece, so that each comes to the client by itself. */
export type Script = (request: number, socket: Socket) => AsyncIterable<string> | Iterable<string>;

/** A server on the loopback address that answers requests, which have no bodies, with the bytes it is given. */
export async function startScriptedServer(script: Script): Promise<ScriptedServer> {
  const open = new Set<Socket>();
  const requests: string[] = [];
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    connections += 1;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    let came = '';
    socket.on('data', (bytes: Buffer) => {
      came += bytes.toString('latin1');
      if (!came.endsWith('\r\n\r\n')) return;
      requests.push(came);
      came = '';
      void answer(script(requests.length - 1, socket), socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get connections() {
      return connections;
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  pieces: AsyncIterable<string> | Iterable<string>,
  socket: Socket,
): Promise<void> {
  for await (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece, 'latin1');
    await turn();
    await turn();
  }
}
