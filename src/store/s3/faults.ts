import type { S3ServiceException } from '@aws-sdk/client-s3';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { Answer, Doing } from '../bucket/faults.js';
import { bucketFault } from '../bucket/faults.js';

/** Whatever the SDK throws, as an error of ours. */
export function s3Fault(error: unknown, doing: Doing): TarnError {
  if (error instanceof TarnError) return error;
  if (!(error instanceof Error) || error.name === 'AbortError') return asTarnError(error);
  return bucketFault(answerOf(error), doing, error);
}

function answerOf(error: Error): Answer {
  const { $metadata, $response } = error as Partial<S3ServiceException>;
  const status = $metadata?.httpStatusCode;
  const { code } = error as NodeJS.ErrnoException;
  const headers = ($response as { headers?: Record<string, string> } | undefined)?.headers;
  const isAnswered = status !== undefined;
  return {
    // An answer whose XML is damaged has a status of success: the connection was cut.
    status: isAnswered && status < 300 ? undefined : status,
    code:
      isAnswered && status < 300 ? 'ECONNRESET' : isAnswered ? error.name : (code ?? error.name),
    message: error.message,
    retryAfter: headers?.['retry-after'],
    region: headers?.['x-amz-bucket-region'],
  };
}

export function statusOf(error: unknown): number | undefined {
  return (error as Partial<S3ServiceException>).$metadata?.httpStatusCode;
}
