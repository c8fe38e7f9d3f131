import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { asTarnError, TarnError } from '../util/errors.js';
import { fromWireError, readFrames } from './frames.js';
import type { Arguments, OperationName, Progress, Result, Row } from './protocol.js';
import {
  ANY_PROTOCOL,
  BODY_BYTES_MAX,
  PROTOCOL,
  PROTOCOL_HEADER,
  protocolRefusal,
  VERSION,
  VERSION_HEADER,
} from './protocol.js';
import { checkPrivateDirectory } from '../util/private-directory.js';

const HEADER_BYTES_MAX = 16_384;

export interface CallOptions<K extends OperationName> {
  readonly onRow?: (row: Row<K>) => Promise<void> | void;
  readonly onBytes?: (bytes: Uint8Array) => Promise<void> | void;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs one operation of the daemon at `socketPath`; undefined when no daemon listens there, or the
 * one that did ended, or is about to end, before it had begun. Speaks plain HTTP/1.0 by hand: loading
 * node:http costs a command a tenth of its time.
 * @throws TarnError what the daemon answered; denied when others could have put the socket there;
 *   unavailable when the daemon went away in the middle; aborted
 */
export async function call<K extends OperationName>(
  socketPath: string,
  name: K,
  args: Arguments<K>,
  options: CallOptions<K> = {},
): Promise<{ result: Result<K> } | undefined> {
  const { signal } = options;
  const socket = await connect(socketPath, signal);
  if (socket === undefined) return undefined;
  const abort = (): void => void socket.destroy();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    socket.write(encodeRequest(name, args));
    return await readAnswer(socket, name, options);
  } catch (error) {
    if (signal?.aborted === true) throw new TarnError('aborted', 'interrupted before it was done');
    if (socket.bytesRead === 0 && wasUnread(error)) return undefined;
    throw error instanceof TarnError ? error : lostConnection(error);
  } finally {
    signal?.removeEventListener('abort', abort);
    socket.destroy();
  }
}

/** Whether a keeper is there without a daemon: it starts one for the mounts that it holds. */
export async function isKeeperThere(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    // Its sockets are of another type, which the kernel says only where one listens.
    return (error as NodeJS.ErrnoException).code === 'EPROTOTYPE';
  } finally {
    socket.destroy();
  }
}

async function connect(path: string, signal: AbortSignal | undefined): Promise<Socket | undefined> {
  try {
    checkPrivateDirectory(dirname(path));
  } catch (error) {
    if (asTarnError(error).kind === 'not-found') return undefined;
    throw error;
  }
  const socket = createConnection(path);
  try {
    await once(socket, 'connect', signal === undefined ? {} : { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    const code = (error as NodeJS.ErrnoException).code;
    // Reset: it ended before it could accept.
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET') return undefined;
    throw error;
  }
}

function encodeRequest(name: string, args: unknown): string {
  const body = JSON.stringify(args);
  const bytes = Buffer.byteLength(body);
  if (bytes > BODY_BYTES_MAX) {
    throw new TarnError(
      'too-large',
      `the command is ${bytes} bytes long, at most ${BODY_BYTES_MAX}`,
      {
        hint: 'split it into several, or name a folder instead of its files',
      },
    );
  }
  return [
    `POST /v1/${name} HTTP/1.0`,
    `${PROTOCOL_HEADER}: ${PROTOCOL}`,
    `${VERSION_HEADER}: ${VERSION}`,
    'content-type: application/json',
    `content-length: ${bytes}`,
    '',
    body,
  ].join('\r\n');
}

async function readAnswer<K extends OperationName>(
  socket: Socket,
  name: K,
  options: CallOptions<K>,
): Promise<{ result: Result<K> } | undefined> {
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>;
  const rest = await readHeader(chunks, name);
  for await (const part of readFrames(continued(rest, chunks))) {
    if ('bytes' in part) {
      await options.onBytes?.(part.bytes);
      continue;
    }
    const { frame } = part;
    if ('row' in frame) {
      const taken = options.onRow?.(frame.row as Row<K>);
      if (taken instanceof Promise) await taken;
    } else if ('progress' in frame) options.onProgress?.(frame.progress);
    else if ('done' in frame) return { result: frame.done as Result<K> };
    else if (frame.error.isForNext === true) return undefined;
    else throw fromWireError(frame.error);
  }
  throw lostConnection();
}

/** Reads the answer's header, checks who speaks, and gives what came behind it. */
async function readHeader(chunks: AsyncIterator<Buffer>, name: string): Promise<Buffer> {
  let seen: Buffer = Buffer.alloc(0);
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) throw lostConnection();
    seen = Buffer.concat([seen, next.value]);
    const end = seen.indexOf('\r\n\r\n');
    if (end >= 0) {
      checkPeer(seen.toString('latin1', 0, end), name);
      return seen.subarray(end + 4);
    }
    if (seen.length > HEADER_BYTES_MAX) throw new TarnError('internal', 'no daemon listens there');
  }
}

function checkPeer(header: string, name: string): void {
  if (ANY_PROTOCOL.has(name)) return;
  const field = (wanted: string): string | undefined =>
    new RegExp(`^${wanted}: *(.*?) *$`, 'im').exec(header)?.[1];
  const refusal = protocolRefusal(
    { protocol: PROTOCOL, version: VERSION },
    {
      protocol: Number(field(PROTOCOL_HEADER) ?? 0),
      version: field(VERSION_HEADER) ?? 'of no stated version',
    },
  );
  if (refusal !== undefined) throw fromWireError(refusal);
}

async function* continued(
  first: Buffer,
  rest: AsyncIterableIterator<Buffer>,
): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  yield* rest;
}

/**
 * Whether the peer ended before it had read all that it was sent, which Linux tells from an end after that:
 * unix_release_sock() in net/unix/af_unix.c. What was not read was not begun either.
 */
function wasUnread(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function lostConnection(cause?: unknown): TarnError {
  return new TarnError('unavailable', 'the daemon went away before it had answered', {
    cause,
    hint: "'tarn daemon status' says whether it runs; its log is log/daemon.jsonl in the home directory",
  });
}
