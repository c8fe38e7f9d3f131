import type { S3Client } from '@aws-sdk/client-s3';
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { findLeftUpload, isSamePart } from '../../src/store/s3/left-upload.js';
import type { PartsPlace } from '../../src/store/s3/request.js';

const DAY_MS = 86_400_000;
const ago = (days: number): Date => new Date(Date.now() - days * DAY_MS);

interface Upload {
  readonly Key: string;
  readonly UploadId: string;
  readonly Initiated: Date;
  readonly parts: readonly { PartNumber: number; ETag: string; Size: number; LastModified: Date }[];
}

/** A store that has these uploads; notes which are aborted. */
function placeWith(uploads: readonly Upload[]): { place: PartsPlace; aborted: string[] } {
  const aborted: string[] = [];
  const send = async (command: unknown): Promise<unknown> => {
    if (command instanceof ListMultipartUploadsCommand) return { Uploads: uploads };
    if (command instanceof ListPartsCommand) {
      const { UploadId } = command.input;
      return { Parts: uploads.find((each) => each.UploadId === UploadId)?.parts };
    }
    if (command instanceof AbortMultipartUploadCommand) aborted.push(command.input.UploadId ?? '');
    return {};
  };
  const client = { send } as unknown as S3Client;
  const doing = { doing: 'writing', key: 'files/own', url: 's3://bucket' };
  return {
    place: { client, bucket: 'bucket', settings: { payer: {}, read: {}, write: {} }, doing },
    aborted,
  };
}

const part = (days: number) => ({
  PartNumber: 1,
  ETag: '"5d41402abc4b2a76b9719d911017c592"',
  Size: 5,
  LastModified: ago(days),
});

describe('uploads that were left in an S3 bucket', () => {
  it('the newest of the same object is gone on with, and those abandoned for a week are aborted', async () => {
    const { place, aborted } = placeWith([
      { Key: 'files/own', UploadId: 'newest', Initiated: ago(9), parts: [part(9)] },
      { Key: 'files/own', UploadId: 'older', Initiated: ago(10), parts: [part(10)] },
      { Key: 'files/other', UploadId: 'abandoned', Initiated: ago(8), parts: [part(8)] },
      { Key: 'files/other', UploadId: 'going on', Initiated: ago(8), parts: [part(8), part(1)] },
      { Key: 'files/other', UploadId: 'just begun', Initiated: ago(0), parts: [] },
    ]);
    const left = await findLeftUpload(place, 'files/own', undefined);
    expect(left?.id).toBe('newest');
    expect(isSamePart(left?.parts.get(1), Buffer.from('hello'))).toBe(true);
    expect(isSamePart(left?.parts.get(1), Buffer.from('Hello'))).toBe(false);
    expect(isSamePart(left?.parts.get(2), Buffer.from('hello'))).toBe(false);
    expect(aborted).toEqual(['abandoned']);
  });

  it('a store that does not tell of them has none', async () => {
    const { place } = placeWith([]);
    const refusing = { send: () => Promise.reject(new Error('AccessDenied')) };
    const client = refusing as unknown as S3Client;
    expect(await findLeftUpload({ ...place, client }, 'files/own', undefined)).toBeUndefined();
  });
});
