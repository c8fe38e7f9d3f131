import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { SqliteContentIndex } from '../../src/cache/content-index.js';
import { SqliteVerifiedStamps } from '../../src/cache/verified-stamps.js';
import type { FileEntry } from '../../src/model/entry.js';
import { ContentWriter } from '../../src/repo/content-writer.js';
import type { StoredContent } from '../../src/repo/content-writer.js';
import { LocalStore } from '../../src/store/local/local-store.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import type { MaybePromise } from '../../src/util/async.js';
import { TarnError } from '../../src/util/errors.js';

/** A local store with its caches, in a directory of its own. */
export interface ContentFixture {
  readonly directory: string;
  readonly store: LocalStore;
  readonly index: SqliteContentIndex;
  readonly stamps: SqliteVerifiedStamps;
  dispose(): Promise<void>;
}

export async function contentFixture(): Promise<ContentFixture> {
  const directory = mkdtempSync(join(tmpdir(), 'tarn-content-'));
  const store = await LocalStore.create(join(directory, 'store'));
  const index = new SqliteContentIndex(join(directory, 'cache', 'contents.db'));
  const stamps = new SqliteVerifiedStamps(join(directory, 'cache', 'stamps.db'));
  const dispose = async (): Promise<void> => {
    await store.close();
    index.close();
    stamps.close();
    rmSync(directory, { recursive: true });
  };
  return { directory, store, index, stamps, dispose };
}

/** Stores files in order and resolves to what was announced, by tag. */
export async function storeAll(
  files: readonly Uint8Array[],
  store: ObjectStore,
  options: Pick<Partial<ContentFixture>, 'index' | 'stamps'> = {},
): Promise<StoredContent<number>[]> {
  const stored: StoredContent<number>[] = [];
  const writer = new ContentWriter<number>(
    store,
    options.index,
    (batch) => {
      for (const each of batch) stored[each.tag] = each;
    },
    options.stamps,
  );
  for (const [tag, file] of files.entries()) await addFile(writer, file, tag);
  await writer.flush();
  expect(stored).toHaveLength(files.length);
  return stored;
}

async function addFile(
  writer: ContentWriter<number>,
  file: Uint8Array,
  tag: number,
): Promise<void> {
  if (file.length < 1 << 20) await writer.addSmall(file, tag);
  else await writer.addLarge(chunksOf(file, 300_001), tag);
}

export async function* chunksOf(bytes: Uint8Array, length: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

export function entryOf({ size, content, address }: StoredContent<unknown>): FileEntry {
  return { kind: 'file', mode: 0o644, mtimeSec: 0, mtimeNsec: 0, size, content, address };
}

/** Bytes that differ for each seed and do not repeat with any short period. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export async function faultOf(work: MaybePromise<unknown>): Promise<TarnError> {
  const outcome = await Promise.resolve(work).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(TarnError);
  return outcome as TarnError;
}

/**
 * Returns once a change of `path` would get another time than its last: some kernels count file
 * times in steps of 4 ms.
 */
export function untilFileClockMoves(path: string): void {
  const last = statSync(path, { bigint: true }).ctimeNs;
  const scratch = mkdtempSync(join(tmpdir(), 'tarn-clock-'));
  const probe = join(scratch, 'probe');
  do writeFileSync(probe, 'x');
  while (statSync(probe, { bigint: true }).ctimeNs <= last);
  rmSync(scratch, { recursive: true });
}
