/**
 * raw-client get ENDPOINT BUCKET KEY BYTES AT_ONCE, or put ENDPOINT BUCKET FOLDER AT_ONCE, or
 * list ENDPOINT BUCKET PREFIX AT_ONCE, or replace ENDPOINT BUCKET KEY SECONDS
 *
 * What the SDK of tarn does with nothing around it: ranges of an object read and thrown away, each
 * file of a folder put as an object, or all objects of each group below a prefix listed. Prints the
 * seconds that it took. Or a small object replaced again and again where it is as it was last seen:
 * prints how often it was.
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { GetObjectCommand, paginateListObjectsV2, PutObjectCommand } from '@aws-sdk/client-s3';
import { rawS3 } from './raw-s3.js';

const RANGE_BYTES = 8_388_608;
/** About what a ref has. */
const REF_BYTES = 400;
const REFUSED = new Set(['PreconditionFailed', 'ConditionalRequestConflict']);

const [what = '', endpoint = '', bucket = '', name = '', ...numbers] = process.argv.slice(2);
const client = rawS3(endpoint);

async function get(key: string, bytes: number, atOnce: number): Promise<void> {
  const starts = Array.from({ length: Math.ceil(bytes / RANGE_BYTES) }, (_, i) => i * RANGE_BYTES);
  await withWorkers(starts, atOnce, async (start) => {
    const range = `bytes=${start}-${Math.min(bytes, start + RANGE_BYTES) - 1}`;
    const { Body } = await client.send(
      new GetObjectCommand({ Bucket: bucket, Key: key, Range: range }),
    );
    for await (const chunk of Body as Readable) void chunk;
  });
}

async function put(folder: string, atOnce: number): Promise<void> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  await withWorkers(files, atOnce, async (path) => {
    const key = path.slice(folder.length + 1);
    await client.send(
      new PutObjectCommand({ Bucket: bucket, Key: key, Body: await readFile(path) }),
    );
  });
}

async function list(prefix: string, atOnce: number): Promise<void> {
  const groups: string[] = [];
  const all = { Bucket: bucket, Prefix: prefix, Delimiter: '/' };
  for await (const { CommonPrefixes = [] } of paginateListObjectsV2({ client }, all)) {
    groups.push(...CommonPrefixes.map(({ Prefix = '' }) => Prefix));
  }
  await withWorkers(groups, atOnce, async (Prefix) => {
    for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix })) {
      void page;
    }
  });
}

async function replace(key: string, seconds: number): Promise<number> {
  const endMs = performance.now() + seconds * 1000;
  let done = 0;
  let etag = await etagOf(key);
  while (performance.now() < endMs) {
    try {
      const Body = `${process.pid} ${done}`.padEnd(REF_BYTES);
      const put = new PutObjectCommand({ Bucket: bucket, Key: key, Body, IfMatch: etag });
      etag = (await client.send(put)).ETag;
      done += 1;
    } catch (error) {
      if (!REFUSED.has((error as Error).name)) throw error;
      etag = await etagOf(key);
    }
  }
  return done;
}

async function etagOf(key: string): Promise<string | undefined> {
  const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  await Body?.transformToByteArray();
  return ETag;
}

async function withWorkers<T>(
  items: readonly T[],
  count: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: count }, worker));
}

const start = performance.now();
const seconds = (): number => (performance.now() - start) / 1000;
if (what === 'replace') {
  console.log(await replace(name, Number(numbers[0])));
} else if (what === 'get') {
  await get(name, Number(numbers[0]), Number(numbers[1]));
  console.log(seconds());
} else if (what === 'list') {
  await list(name, Number(numbers[0]));
  console.log(seconds());
} else {
  await put(name, Number(numbers[0]));
  console.log(seconds());
}
client.destroy();
