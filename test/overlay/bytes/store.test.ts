import { spawn } from 'node:child_process';
import { hash as hashOnce } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileEntry } from '../../../src/model/entry.js';
import { BLOCK_BYTES } from '../../../src/model/ids.js';
import type { StagedFile } from '../../../src/overlay/bytes/staged-file.js';
import { StagedFolder } from '../../../src/overlay/bytes/staged-folder.js';
import type { StoreOutcome, ToStore } from '../../../src/overlay/bytes/store.js';
import { StagedStore } from '../../../src/overlay/bytes/store.js';
import type { Content } from '../../../src/repo/content.js';
import { manifestKey, wholeKey } from '../../../src/repo/layout.js';
import { encodeManifest, manifestId } from '../../../src/repo/manifest.js';
import { putNamed } from '../../../src/repo/objects.js';
import { Repository } from '../../../src/repo/repository.js';
import { entryOf, faultOf, noise, storeAll } from '../../repo/content-fixture.js';
import { SqliteContentIndex } from '../../../src/cache/content-index.js';

const SIGNAL = new AbortController().signal;

/** Writes to a map of the file, and again when it is told to. */
const MAPPER = `
import mmap, sys
with open(sys.argv[1], 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0)
for text in [b'one', b'two']:
    m[0:3] = text
    print(text, flush=True)
    sys.stdin.readline()
`;

let directory: string;
let folder: StagedFolder;
let repository: Repository;
let index: SqliteContentIndex;
let lastNumber = 0;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-storing-'));
  folder = new StagedFolder(join(directory, 'files'));
  repository = await Repository.create('drive', join(directory, 'drive'), 'nobody');
  index = new SqliteContentIndex(join(directory, 'contents.db'));
});
afterEach(async () => {
  await repository.close();
  index.close();
  rmSync(directory, { recursive: true });
});

describe('storing staged files', () => {
  it('gives contents of their bytes, those of many small files in a pack', async () => {
    const files = [0, 1, 5000, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES];
    const bytes = files.map((size) => noise(size, size + 1));
    const numbers = await Promise.all(bytes.map(newFile));
    const outcomes = await store(numbers.map((number) => ({ number, isQuiet: true })));
    for (const [i, outcome] of outcomes.entries()) {
      expect((await bytesOf(outcome)).equals(bytes[i] as Buffer)).toBe(true);
      expect(stored(outcome).stamp?.size).toBe(files[i]);
    }
    expect(outcomes.map((each) => stored(each).address.kind)).toEqual([
      'none',
      'packed',
      'packed',
      'packed',
      'whole',
      'whole',
    ]);
  });

  it('gives a partial file the content that its bytes have, whatever was done to it', async () => {
    const change = fc.record({
      at: fc.nat(5 * BLOCK_BYTES),
      length: fc.integer({ min: 1, max: 20_000 }),
      size: fc.option(fc.nat(6 * BLOCK_BYTES), { freq: 4 }),
    });
    const rounds = fc.array(fc.array(change, { maxLength: 3 }), { minLength: 1, maxLength: 3 });
    const sizes = fc.constantFrom(900_000, 3 * BLOCK_BYTES, 5 * BLOCK_BYTES + 77);
    const property = fc.asyncProperty(sizes, rounds, async (size, list) => {
      let bytes = noise(size, 1);
      let entry = await storedEntry(bytes);
      for (const changes of list) {
        const { number, wanted } = await changed(entry, bytes, changes);
        const [outcome] = await store([{ number, base: entry, isQuiet: true }]);
        entry = entryOf(stored(outcome));
        bytes = wanted;
        expect((await bytesOf(outcome)).equals(bytes)).toBe(true);
        const [anew] = await storeAll([bytes], repository.objects);
        expect(entry.content).toBe(anew?.content);
      }
    });
    await fc.assert(property, { seed: 7, numRuns: 12 });
  });

  it('stores one block of a file of 10 GB of which a byte was changed', async () => {
    const base = await zeros(10_000 * BLOCK_BYTES);
    const file = folder.createOver(1, { size: base.size, mtimeSec: 0, mtimeNsec: 0 });
    const content = repository.openContent(base);
    await file.write(5_000_000_000, Buffer.from('x'), content, SIGNAL);
    content.close();
    file.close();
    const before = await storedBytes();
    const [outcome] = await store([{ number: 1, base, isQuiet: true }]);
    expect((await storedBytes()) - before).toBeLessThan(2 * BLOCK_BYTES);
    const { address } = stored(outcome);
    expect(address.kind === 'extents' && address.extents.length).toBe(3);
    const made = repository.openContent(entryOf(stored(outcome)));
    const found = Buffer.from(await made.read(5_000_000_000 - 1, 3));
    expect(found).toEqual(Buffer.from('\0x\0'));
    made.close();
  });

  it('stores many changed blocks together as one object', async () => {
    const base = await zeros(60 * BLOCK_BYTES + 9);
    const file = folder.createOver(1, { size: base.size, mtimeSec: 0, mtimeNsec: 0 });
    const content = repository.openContent(base);
    const part = noise(20 * BLOCK_BYTES, 9);
    for (const at of [3 * BLOCK_BYTES, 40 * BLOCK_BYTES + 9]) {
      for (let done = 0; done < part.length; done += BLOCK_BYTES) {
        const count = done < 10 * BLOCK_BYTES ? BLOCK_BYTES : 0;
        await file.write(at + done, part.subarray(done, done + count), content, SIGNAL);
      }
    }
    file.close();
    const [outcome] = await store([{ number: 1, base, isQuiet: true }]);
    const { address } = stored(outcome);
    expect(address.kind === 'extents' && address.extents.length).toBe(5);
    const wanted = Buffer.alloc(base.size);
    part.copy(wanted, 3 * BLOCK_BYTES, 0, 10 * BLOCK_BYTES);
    part.copy(wanted, 40 * BLOCK_BYTES + 9, 0, 10 * BLOCK_BYTES);
    expect((await bytesOf(outcome)).equals(wanted)).toBe(true);
    content.close();
  });

  it('stores nothing of a copy that shares all bytes of its base, which it does not read', async () => {
    const base = await storedEntry(noise(3 * BLOCK_BYTES + 5, 4));
    const number = (lastNumber += 1);
    const file = folder.create(number);
    file.becomePartial(base.size);
    expect(file.share(0, base.size)).toBe(base.size);
    file.close();
    for (const key of [wholeKey(base.content), manifestKey(base.content)]) {
      rmSync(repository.objects.localPath?.(key) ?? '');
    }
    const before = await storedBytes();
    const [outcome] = await store([{ number, base, isQuiet: true }]);
    const { content, address } = base;
    expect(stored(outcome)).toMatchObject({ size: base.size, content, address });
    expect(await storedBytes()).toBe(before);
  });

  it('keeps a base whose bytes were only written again', async () => {
    const bytes = noise(3 * BLOCK_BYTES, 2);
    const base = await storedEntry(bytes);
    const { number } = await changed(base, bytes, [], (file, content) =>
      file.write(100, bytes.subarray(100, 50_000), content, SIGNAL),
    );
    const [outcome] = await store([{ number, base, isQuiet: true }]);
    expect(stored(outcome)).toMatchObject({ content: base.content, address: base.address });
  });

  it('writes a file whole of which too many pieces would lie elsewhere', async () => {
    const whole = await zeros(8 * BLOCK_BYTES);
    const lengths = [4 * BLOCK_BYTES, ...Array.from({ length: 254 }, () => 16_384)];
    lengths.push(4 * BLOCK_BYTES - 254 * 16_384);
    const source = { kind: 'whole', content: whole.content } as const;
    const extents = lengths.map((length) => ({ source, offset: 0, length }));
    const base: FileEntry = { ...whole, address: { kind: 'extents', extents } };
    const change = { at: 2 * BLOCK_BYTES, length: 10, size: null };
    const { number } = await changed(base, Buffer.alloc(base.size), [change]);
    const [outcome] = await store([{ number, base, isQuiet: true }]);
    expect(stored(outcome).address).toEqual({ kind: 'whole' });
  });

  it('says which files keep changing, and which are not there', async () => {
    const number = await newFile(noise(2 * BLOCK_BYTES, 1));
    const path = folder.pathOf(number);
    const changing = setInterval(() => utimesSync(path, 1, 1), 1);
    const outcomes = await store([
      { number, isQuiet: false },
      { number: 999, isQuiet: true },
    ]);
    clearInterval(changing);
    expect(outcomes).toEqual([
      { kind: 'changing', tag: 0 },
      { kind: 'gone', tag: 1 },
    ]);
  });

  it('gives no stamp for a file that programs have open', async () => {
    const number = await newFile(noise(10, 1));
    const [outcome] = await store([{ number, isQuiet: false }]);
    expect(stored(outcome).stamp).toBeUndefined();
  });

  it('gives a stamp that what is written later through a map changes', async () => {
    const number = await newFile(noise(8192, 1));
    const path = folder.pathOf(number);
    const mapper = spawn('python3', ['-c', MAPPER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(mapper, 'exit');
    try {
      await once(mapper.stdout, 'data');
      const [outcome] = await store([{ number, isQuiet: true, isMapped: true }]);
      expect((await bytesOf(outcome)).toString('latin1', 0, 3)).toBe('one');
      mapper.stdin.write('\n');
      await once(mapper.stdout, 'data');
      const later = Number(statSync(path, { bigint: true }).ctimeNs % 1_000_000_000n);
      expect(stored(outcome).stamp?.ctimeNsec).not.toBe(later);
    } finally {
      mapper.stdin.end();
      await ended;
    }
  });

  it('goes on after a file whose base is damaged, which it names', async () => {
    const base = await zeros(4 * BLOCK_BYTES);
    writeFileSync(repository.objects.localPath?.(wholeKey(base.content)) ?? '', 'damaged');
    const file = folder.createOver(1, { size: base.size, mtimeSec: 0, mtimeNsec: 0 });
    await file.write(0, noise(4096, 1), undefined, SIGNAL);
    file.close();
    const sound = await newFile(noise(10, 1));
    const outcomes: StoreOutcome<number>[] = [];
    const storing = new StagedStore<number>(join(directory, 'files'), repository, index, (each) => {
      outcomes.push(each);
    });
    const fault = await faultOf(storing.add({ number: 1, base, isQuiet: true }, 0, SIGNAL));
    expect(fault.kind).toBe('corrupt');
    await storing.add({ number: sound, isQuiet: true }, 1, SIGNAL);
    await storing.flush(SIGNAL);
    expect(outcomes).toMatchObject([{ kind: 'stored', tag: 1 }]);
  });
});

type Change = { readonly at: number; readonly length: number; readonly size: number | null };

async function changed(
  base: FileEntry,
  bytes: Buffer,
  changes: readonly Change[],
  more?: (file: StagedFile, content: Content) => unknown,
): Promise<{ number: number; wanted: Buffer }> {
  const number = (lastNumber += 1);
  const file = folder.createOver(number, { size: base.size, mtimeSec: 0, mtimeNsec: 0 });
  const content = repository.openContent(base);
  let wanted = Buffer.from(bytes);
  for (const { at, length, size } of changes) {
    const part = noise(length, at);
    await file.write(at, part, content, SIGNAL);
    wanted = Buffer.concat([wanted, Buffer.alloc(Math.max(0, at + length - wanted.length))]);
    part.copy(wanted, at);
    if (size === null) continue;
    await file.truncate(size);
    wanted = Buffer.concat([wanted, Buffer.alloc(Math.max(0, size - wanted.length))]);
    wanted = wanted.subarray(0, size);
  }
  await more?.(file, content);
  content.close();
  file.close();
  return { number, wanted };
}

async function newFile(bytes: Buffer): Promise<number> {
  const number = (lastNumber += 1);
  const file = folder.create(number);
  if (bytes.length > 0) await file.write(0, bytes, undefined, SIGNAL);
  file.close();
  return number;
}

async function store(files: readonly ToStore[]): Promise<StoreOutcome<number>[]> {
  const outcomes: StoreOutcome<number>[] = [];
  const storing = new StagedStore<number>(join(directory, 'files'), repository, index, (each) => {
    expect(outcomes[each.tag]).toBeUndefined();
    outcomes[each.tag] = each;
  });
  for (const [tag, file] of files.entries()) await storing.add(file, tag, SIGNAL);
  await storing.flush(SIGNAL);
  return outcomes;
}

function stored(
  outcome: StoreOutcome<number> | undefined,
): Extract<StoreOutcome<number>, { kind: 'stored' }> {
  if (outcome?.kind !== 'stored') throw new Error(`not stored: ${JSON.stringify(outcome)}`);
  return outcome;
}

async function bytesOf(outcome: StoreOutcome<number> | undefined): Promise<Buffer> {
  const entry = entryOf(stored(outcome));
  const content = repository.openContent(entry);
  try {
    return Buffer.from(await content.read(0, entry.size));
  } finally {
    content.close();
  }
}

async function storedEntry(bytes: Buffer): Promise<FileEntry> {
  const [stored] = await storeAll([bytes], repository.objects);
  if (stored === undefined) throw new Error('nothing was stored');
  return entryOf(stored);
}

/** A content of zeros that takes no room. */
async function zeros(size: number): Promise<FileEntry> {
  const count = Math.ceil(size / BLOCK_BYTES);
  const full = hashOnce('sha256', Buffer.alloc(BLOCK_BYTES), 'buffer');
  const last = hashOnce('sha256', Buffer.alloc(size - (count - 1) * BLOCK_BYTES), 'buffer');
  const blocks = Buffer.concat([...Array.from({ length: count - 1 }, () => full), last]);
  const manifest = encodeManifest({ size, blocks });
  const content = manifestId(size, manifest);
  await putNamed(repository.objects, manifestKey(content), manifest);
  const path = repository.objects.localPath?.(wholeKey(content)) ?? '';
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  truncateSync(path, size);
  return entryOf({ tag: 0, size, content, address: { kind: 'whole' } });
}

async function storedBytes(): Promise<number> {
  let bytes = 0;
  for await (const { size } of repository.objects.list('')) bytes += size;
  return bytes;
}
