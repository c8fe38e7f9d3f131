import { randomUUID } from 'node:crypto';
import { WRITER_METADATA } from '../bucket/bucket.js';

/** What is said of an object when it is put. */
export function resourceOf(key: string, writer: string | undefined): object {
  return {
    name: key,
    ...(writer === undefined ? {} : { metadata: { [WRITER_METADATA]: writer } }),
  };
}

/** An object and what is said of it, in one request. */
export function multipartBody(resource: object, bytes: Uint8Array): { type: string; body: Buffer } {
  const boundary = randomUUID();
  const head = [
    ...[`--${boundary}`, 'content-type: application/json', '', JSON.stringify(resource)],
    ...[`--${boundary}`, 'content-type: application/octet-stream', '', ''],
  ].join('\r\n');
  const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { type: `multipart/related; boundary=${boundary}`, body };
}
