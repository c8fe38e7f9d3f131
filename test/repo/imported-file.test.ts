import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FileEntry } from '../../src/model/entry.js';
import { BLOCK_BYTES } from '../../src/model/ids.js';
import { fileUrl, pinnedContentId } from '../../src/model/imported.js';
import { ContentReader } from '../../src/repo/content-reader.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { faultOf, noise, storeAll } from './content-fixture.js';

const WHEN = 1_749_902_400;

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-imported-'));
  path = join(directory, 'frame é.jpg');
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(bytes: Uint8Array, seconds = WHEN): void {
  writeFileSync(path, bytes);
  utimesSync(path, seconds, seconds);
}

function pinnedEntry(): FileEntry {
  const { size } = statSync(path);
  const pin = { kind: 'mtime', mtimeSec: WHEN, mtimeNsec: 0 } as const;
  const url = fileUrl(path);
  const content = pinnedContentId(url, size, pin);
  const address = { kind: 'imported', url, pin } as const;
  return { kind: 'file', mode: 0o644, mtimeSec: 1, mtimeNsec: 1, size, content, address };
}

/** The same with the id of its content recorded, and a reader that has its manifest. */
async function verified(bytes: Uint8Array): Promise<{ entry: FileEntry; reader: ContentReader }> {
  const store = new MemoryStore();
  const [stored] = await storeAll([bytes], store);
  for await (const { key } of store.list('')) {
    if (!key.startsWith('manifests/')) await store.delete(key);
  }
  if (stored === undefined) throw new Error('nothing was stored');
  return { entry: { ...pinnedEntry(), content: stored.content }, reader: new ContentReader(store) };
}

const read = (entry: FileEntry, at = 0, length = entry.size): Promise<Uint8Array> =>
  Promise.resolve(new ContentReader(new MemoryStore()).open(entry).read(at, length));

describe('an imported file that nobody has read', () => {
  test('gives any range of its bytes, and takes no place of its own', async () => {
    const bytes = noise(2 * BLOCK_BYTES + 77, 1);
    write(bytes);
    const entry = pinnedEntry();
    for (const [at, length] of [
      [0, bytes.length],
      [BLOCK_BYTES - 1, 2],
      [bytes.length - 3, 100],
      [bytes.length, 1],
    ] as const) {
      expect(Buffer.compare(await read(entry, at, length), bytes.subarray(at, at + length))).toBe(
        0,
      );
    }
  });

  test.each<[string, () => void, RegExp]>([
    [
      'another size',
      () => write(noise(101, 2)),
      /has changed: it had 100 bytes of 2025-06-14T12:00:00Z .*, and has 101 bytes of 2025-06-14T12:00:00Z now/,
    ],
    [
      'another time, with the same size',
      () => write(noise(100, 2), WHEN + 1),
      /and has 100 bytes of 2025-06-14T12:00:01Z now/,
    ],
    [
      'a folder in its place',
      () => {
        rmSync(path);
        mkdirSync(path);
      },
      /it is no file any more/,
    ],
    [
      'a pipe in its place',
      () => {
        rmSync(path);
        execFileSync('mkfifo', [path]);
      },
      /it is no file any more/,
    ],
    [
      'a symbolic link in its place',
      () => {
        rmSync(path);
        symlinkSync('/etc/hostname', path);
      },
      /it is a symbolic link now/,
    ],
  ])('is corrupt with %s, and says so', async (_, change, message) => {
    write(noise(100, 1));
    const entry = pinnedEntry();
    change();
    const fault = await faultOf(read(entry));
    expect(fault).toMatchObject({
      kind: 'corrupt',
      hint: expect.stringContaining('import') as string,
    });
    expect(fault.message).toMatch(message);
    expect(fault.message).toContain(path);
  });

  test('is read again once it is as it was', async () => {
    const bytes = noise(100, 1);
    write(bytes);
    const entry = pinnedEntry();
    write(noise(100, 2), WHEN + 1);
    const content = new ContentReader(new MemoryStore()).open(entry);
    await faultOf(content.read(0, 100));
    write(bytes);
    expect(Buffer.compare(await content.read(0, 100), bytes)).toBe(0);
  });

  test('is not found where it is gone, and its disk is asked after', async () => {
    write(noise(100, 1));
    const entry = pinnedEntry();
    rmSync(path);
    expect(await faultOf(read(entry))).toMatchObject({
      kind: 'not-found',
      message: `the imported file '${path}' is not there`,
      hint: expect.stringContaining('disk') as string,
    });
  });

  test('from a bucket is for a newer tarn', () => {
    write(noise(100, 1));
    const entry = pinnedEntry();
    const pin = { kind: 'mtime', mtimeSec: 0, mtimeNsec: 0 } as const;
    const url = 's3://drive/run-8421/frame.jpg';
    const content = pinnedContentId(url, 100, pin);
    const address = { kind: 'imported', url, pin } as const;
    expect(() => read({ ...entry, content, address })).toThrowError(/'s3:\/\/drive.*'/);
  });
});

describe('an imported file whose content is recorded', () => {
  test.each([100, 3 * BLOCK_BYTES + 5])('of %i bytes is checked block by block', async (size) => {
    const bytes = noise(size, 1);
    write(bytes);
    const { entry, reader } = await verified(bytes);
    const content = reader.open(entry);
    expect(Buffer.compare(await content.read(0, size), bytes)).toBe(0);
    expect(await content.backing()).toBeUndefined();
    const changed = Buffer.from(bytes);
    changed[size - 1] = (bytes[size - 1] as number) ^ 1;
    write(changed);
    const again = (await verified(bytes)).reader.open(entry);
    const fault = await faultOf(again.read(size - 1, 1));
    expect(fault).toMatchObject({ kind: 'corrupt' });
    expect(fault.message).toMatch(/its bytes \d+ to \d+ are not those that were imported/);
    if (size > BLOCK_BYTES) expect((await again.read(0, 10)).length).toBe(10);
  });

  test('is served as long as the bytes are right, whatever its time', async () => {
    const bytes = noise(100, 1);
    write(bytes);
    const { entry, reader } = await verified(bytes);
    write(bytes, WHEN + 99);
    expect(Buffer.compare(await reader.open(entry).read(0, 100), bytes)).toBe(0);
  });

  test('tells how it looked where bytes and looks have changed, or it is cut short', async () => {
    write(noise(100, 1));
    const { entry, reader } = await verified(noise(100, 1));
    write(noise(100, 2), WHEN + 1);
    expect((await faultOf(reader.open(entry).read(0, 9))).message).toContain('12:00:01Z now');
    write(noise(10, 1));
    expect((await faultOf(reader.open(entry).read(0, 9))).message).toContain('and has 10 bytes');
  });
});
