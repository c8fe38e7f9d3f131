import type { IncomingMessage } from 'node:http';
import { asTarnError, TarnError } from '../../util/errors.js';
import { progressed } from '../bucket/deadline.js';
import type { Doing } from '../bucket/faults.js';
import { bucketFault } from '../bucket/faults.js';

const TEXT_BYTES_MAX = 16_777_216;

/** Whatever a request failed with, as an error of ours. */
export function gcsFault(error: unknown, doing: Doing): TarnError {
  if (error instanceof TarnError) return error;
  if (!(error instanceof Error) || error.name === 'AbortError') return asTarnError(error);
  const { code = error.name } = error as NodeJS.ErrnoException;
  // The chain that looks for credentials says so only in its message.
  const isWithoutCredentials = /default credentials|invalid_grant|refresh/i.test(error.message);
  const name = isWithoutCredentials ? 'CredentialsProviderError' : code;
  const answer = { status: undefined, code: name, message: error.message };
  return bucketFault(answer, doing, error);
}

/** @throws TarnError as the answer says */
export async function readJson<T>(
  answer: IncomingMessage,
  doing: Doing,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { statusCode = 0 } = answer;
  if (statusCode < 200 || statusCode >= 300) throw await refusal(answer, doing, signal);
  const text = await readText(answer, signal);
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    const said = { status: undefined, code: 'ECONNRESET', message: 'the answer was cut' };
    throw bucketFault(said, doing, cause);
  }
}

/** What an answer that is no success means. */
export async function refusal(
  answer: IncomingMessage,
  doing: Doing,
  signal: AbortSignal | undefined,
): Promise<TarnError> {
  const text = await readText(answer, signal);
  const { message, reason } = saidIn(text);
  const isBucket = answer.statusCode === 404 && /bucket does not exist/i.test(message);
  const retryAfter = answer.headers['retry-after'];
  const code = isBucket ? 'NoSuchBucket' : reason;
  return bucketFault({ status: answer.statusCode, code, message, retryAfter }, doing, undefined);
}

async function readText(answer: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    progressed(signal);
    size += chunk.length;
    if (size > TEXT_BYTES_MAX) throw new TarnError('io', 'the store answers without end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function saidIn(text: string): { message: string; reason: string } {
  try {
    const { error } = JSON.parse(text) as {
      error?: { message?: string; errors?: readonly { reason?: string }[] };
    };
    return { message: error?.message ?? text, reason: error?.errors?.[0]?.reason ?? '' };
  } catch {
    return { message: text, reason: '' };
  }
}
