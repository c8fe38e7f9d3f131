import type { TarnError } from '../../util/errors.js';
import { asTarnError } from '../../util/errors.js';
import type { Doing } from '../bucket/faults.js';
import { bucketFault, conflictFault } from '../bucket/faults.js';

interface RestError extends Error {
  readonly statusCode?: number;
  readonly code?: string;
  readonly details?: { readonly errorCode?: string };
  /** Of who gives out tokens. */
  readonly errorResponse?: { readonly errorDescription?: string };
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

/** In the middle of numbers that only its support asks for. */
const REASON = /Description: (.+?) - Correlation ID/s;

/** Whatever the SDK throws, as an error of ours. */
export function azureFault(error: unknown, doing: Doing): TarnError {
  if (!(error instanceof Error) || error.name === 'AbortError') return asTarnError(error);
  const { statusCode, code, details, errorResponse, response } = error as RestError;
  const { errorDescription = '' } = errorResponse ?? {};
  const message = REASON.exec(errorDescription)?.[1] ?? error.message;
  const name = details?.errorCode ?? code ?? error.name;
  if (name === 'BlobAlreadyExists') return conflictFault(doing, error);
  const isCut = name === 'REQUEST_SEND_ERROR' || name === 'PARSE_ERROR';
  const answer = {
    status: isCut ? undefined : statusCode,
    code: isCut ? 'ECONNRESET' : name,
    message: message.split('\n')[0] ?? '',
    retryAfter: response?.headers?.get('retry-after'),
  };
  return bucketFault(answer, doing, error);
}

export function statusOf(error: unknown): number | undefined {
  return (error as RestError).statusCode;
}
