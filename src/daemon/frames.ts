import { TarnError } from '../util/errors.js';
import type { Frame, WireError } from './protocol.js';

/** Longest line of JSON: a row holds at most an entry with its metadata, or a commit. */
const LINE_BYTES_MAX = 4 * 1_048_576;
const NEWLINE = 0x0a;

export type Part =
  | { readonly frame: Exclude<Frame, { bytes: number }> }
  /** The next raw bytes; a run of them may come in several parts. */
  | { readonly bytes: Uint8Array };

/**
 * Reads an answer: lines of JSON, of which `{"bytes":N}` is followed by N raw bytes. An answer is
 * whole only if a `done` or `error` frame ended it, so a lost connection cannot look like an end.
 */
export async function* readFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<Part> {
  let rest: Buffer = Buffer.alloc(0);
  let raw = 0;
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      if (raw > 0) {
        const end = Math.min(rest.length, at + raw);
        if (end === at) break;
        yield { bytes: rest.subarray(at, end) };
        raw -= end - at;
        at = end;
        continue;
      }
      const end = rest.indexOf(NEWLINE, at);
      if (end < 0) break;
      const frame = parseFrame(rest.toString('utf8', at, end));
      at = end + 1;
      if ('bytes' in frame) raw = frame.bytes;
      else yield { frame };
    }
    rest = rest.subarray(at);
    if (rest.length > LINE_BYTES_MAX) throw brokenAnswer('a line of it is too long');
  }
}

function parseFrame(line: string): Frame {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw brokenAnswer('a line of it is not JSON', error);
  }
  if (typeof value !== 'object' || value === null) throw brokenAnswer('a line is not an object');
  if ('bytes' in value && !(Number.isSafeInteger(value.bytes) && Number(value.bytes) >= 0)) {
    throw brokenAnswer('a length in it is not a number of bytes');
  }
  return value as Frame;
}

function brokenAnswer(why: string, cause?: unknown): TarnError {
  return new TarnError('internal', `the daemon's answer makes no sense: ${why}`, {
    cause,
    hint: "is the daemon of another version? try 'tarn daemon stop' and the command again",
  });
}

export function encodeFrame(frame: Frame): string {
  return `${JSON.stringify(frame)}\n`;
}

export function toWireError(error: TarnError): WireError {
  const { kind, message, hint } = error;
  return hint === undefined ? { kind, message } : { kind, message, hint };
}

export function fromWireError(error: WireError): TarnError {
  return new TarnError(error.kind, error.message, error.hint === undefined ? {} : error);
}
