/**
 * ranges-front PORT TARGET FILE: a store on the loopback address that answers ranges of the one large file
 * of a repository from memory, and has whatever else is asked answered by the server at TARGET. The file's
 * bytes are those of FILE.
 *
 * A real store has processors of its own. s3s-fs shares those of this machine, and takes more of them for
 * the bytes than who reads them does.
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as send } from 'node:http';

const [port = '', target = '', file = ''] = process.argv.slice(2);
const bytes = readFileSync(file);

function rangeOf({ method, url = '', headers }: IncomingMessage): [number, number] | undefined {
  if (method !== 'GET' || !url.includes('/files/')) return undefined;
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  return first === undefined ? undefined : [Number(first), Number(last) + 1];
}

function handOn(request: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = request;
  const sent = send(new URL(url ?? '/', target), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  sent.on('error', () => response.destroy());
  request.pipe(sent);
}

createServer({ noDelay: true }, (request, response) => {
  const range = rangeOf(request);
  if (range === undefined) {
    handOn(request, response);
    return;
  }
  const [start, end] = range;
  const part = bytes.subarray(start, end);
  const head = {
    'content-length': part.length,
    'content-range': `bytes ${start}-${start + part.length - 1}/${bytes.length}`,
    etag: '"from-memory"',
  };
  response.writeHead(206, head).end(part);
}).listen(Number(port), '127.0.0.1');
