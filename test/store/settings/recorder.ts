import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server } from 'node:http';
import { createServer, request as httpRequest } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** A request as a server got it. */
export interface Received {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Recorder {
  /** `http://127.0.0.1:PORT`, or `https:` with a certificate. */
  readonly endpoint: string;
  readonly port: number;
  readonly received: Received[];
  stop(): Promise<void>;
}

export interface RecorderOptions {
  readonly certificate?: Certificate;
  /** What is answered here; a request for which it gives nothing goes on to `target`. */
  readonly answer?: (received: Received, body: string) => Answer | undefined;
  /** `http://127.0.0.1:PORT` of the server behind it. */
  readonly target?: string;
}

/** A server on the loopback address that keeps what it was asked. Headers go on as they came. */
export async function startRecorder(options: RecorderOptions): Promise<Recorder> {
  const received: Received[] = [];
  const listener: RequestListener = (request, response) => {
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers };
    received.push(one);
    void bodyOf(request).then((body) => {
      const answer = options.answer?.(one, body.toString());
      if (answer !== undefined) {
        response.writeHead(answer.status, answer.headers).end(answer.body);
      } else if (options.target === undefined) {
        response.writeHead(404).end();
      } else {
        const sent = httpRequest(new URL(url, options.target), { method, headers }, (from) => {
          response.writeHead(from.statusCode ?? 502, from.headers);
          from.pipe(response);
        });
        sent.on('error', () => response.destroy());
        sent.end(body);
      }
    });
  };
  const { certificate } = options;
  const server =
    certificate === undefined ? createServer(listener) : createTlsServer(certificate, listener);
  const port = await listen(server);
  const scheme = certificate === undefined ? 'http' : 'https';
  const stop = () => end(server);
  return { endpoint: `${scheme}://127.0.0.1:${port}`, port, received, stop };
}

export interface ForwardProxy {
  readonly endpoint: string;
  /** `CONNECT host:port`, or `METHOD url`, each as it was asked. */
  readonly asked: string[];
  stop(): Promise<void>;
}

/**
 * An HTTP proxy on the loopback address, which knows no names: whatever host is asked for is on the port
 * that `portOf` says.
 */
export async function startForwardProxy(portOf: (host: string) => number): Promise<ForwardProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    asked.push(`${method} ${url}`);
    const { hostname, pathname, search } = new URL(url);
    const to = { host: '127.0.0.1', port: portOf(hostname), path: pathname + search };
    const sent = httpRequest({ ...to, method, headers }, (from) => {
      response.writeHead(from.statusCode ?? 502, from.headers);
      from.pipe(response);
    });
    sent.on('error', () => response.destroy());
    request.pipe(sent);
  });
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    asked.push(`CONNECT ${request.url ?? ''}`);
    const upstream = connect(portOf((request.url ?? '').split(':')[0] ?? ''), '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    upstream.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
  });
  const port = await listen(server);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    asked,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await end(server);
    },
  };
}

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export interface Authority extends Certificate {
  /** PEM, for clients to trust. */
  readonly file: string;
}

/** Of nobody else; a certificate of its own for the hosts, in an empty directory. */
export async function makeAuthority(
  directory: string,
  hosts: readonly string[],
): Promise<Authority> {
  const at = (name: string): string => join(directory, name);
  const openssl = (...args: string[]) => execute('openssl', args, { cwd: directory });
  const names = hosts.map((host) => (/^[\d.]+$/.test(host) ? `IP:${host}` : `DNS:${host}`));
  await writeFile(at('names'), `subjectAltName=${names.join(',')}\n`);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    ...['req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2'],
    ...['-subj', '/CN=tarn test authority'],
  );
  await openssl(
    ...['req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=store'],
  );
  await openssl(
    ...['x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2'],
    ...['-CAcreateserial', '-extfile', 'names', '-out', 'server.pem'],
  );
  const [key, cert] = [
    await readFile(at('server.key'), 'utf8'),
    await readFile(at('server.pem'), 'utf8'),
  ];
  return { key, cert, file: at('ca.pem') };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function end(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
