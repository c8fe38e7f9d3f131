import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PORTABLE_CALLS } from '../../../src/overlay/bytes/file-calls.js';
import { COPY_BYTES_MAX, StagedFolder } from '../../../src/overlay/bytes/staged-folder.js';
import { noise } from '../../repo/content-fixture.js';
import { withFullDisk } from '../../store/full-disk.js';
import { NotedBase, PAGE } from './model.js';

const SIGNAL = new AbortController().signal;
const BASE = new NotedBase(20 * PAGE + 5, 3);
const LOOK = { size: BASE.size, mtimeSec: 1_700_000_000, mtimeNsec: 0 };

let directory: string;
let folder: StagedFolder;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-staged-'));
  folder = new StagedFolder(join(directory, 'files'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('a folder of staged files', () => {
  it('keeps each file by its number, with length and time of its base', () => {
    const made = [1, 256, 257, 2 ** 52 - 1];
    for (const number of made) folder.createOver(number, LOOK).close();
    const again = new StagedFolder(join(directory, 'files'));
    expect([...again.numbers()].sort((a, b) => a - b)).toEqual(made);
    const file = again.open(257, BASE.size);
    expect(file.isWhole).toBe(false);
    expect(file.stat()).toMatchObject(LOOK);
    file.close();
    again.remove(257);
    again.remove(258);
    expect([...again.numbers()]).not.toContain(257);
    expect(() => again.open(257)).toThrow('staged file 257');
  });

  it('makes a number that is used again empty', () => {
    folder.createOver(3, LOOK).close();
    const file = folder.create(3);
    expect(file.isWhole).toBe(true);
    expect(file.stat().size).toBe(0);
    file.close();
    expect(folder.open(3).isWhole).toBe(true);
  });

  it('copies a small file of the base whole', async () => {
    const file = await folder.createCopy(9, BASE, LOOK, SIGNAL);
    expect(file.isWhole).toBe(true);
    expect(file.stat()).toMatchObject(LOOK);
    expect(Buffer.from(await file.read(0, 1e6, undefined, SIGNAL)).equals(BASE.bytes)).toBe(true);
    file.close();
  });

  it('copies a small file whole or not at all where the disk is full', async () => {
    await withFullDisk(async ({ path }) => {
      const base = new NotedBase(COPY_BYTES_MAX, 3);
      const full = new StagedFolder(join(path, 'files'));
      writeFileSync(join(path, 'more'), Buffer.alloc(64 * 1024));
      const copying = full.createCopy(9, base, { ...LOOK, size: base.size }, SIGNAL);
      await expect(copying).rejects.toThrow('ENOSPC');
      expect([...full.numbers()]).toEqual([]);
    });
  });

  it('reads and keeps no byte of the base when a file is made, written in whole pages and closed', async () => {
    const base = new NotedBase(BASE.size, 3);
    const file = folder.createOver(4, LOOK);
    await file.write(2 * PAGE, noise(3 * PAGE, 8), base, SIGNAL);
    await file.truncate(6 * PAGE + 1);
    await file.sync();
    file.close();
    expect(base.reads).toEqual([]);
  });
});

describe('a page map', () => {
  const damages: [how: string, damage: (path: string) => void][] = [
    ['begins otherwise', (path) => patch(path, 0, 'tarnpax')],
    ['is cut short', (path) => truncateSync(path, 4096)],
    ['has no whole header', (path) => truncateSync(path, 10)],
    ['is too long', (path) => truncateSync(path, 5000)],
    ['shows more than there is', (path) => patch(path, 8, '\xff')],
    ['is for another base', (path) => patch(path, 16, '\xff')],
    ['has a header with more in it', (path) => patch(path, 100, 'x')],
  ];

  it.each(damages)('that %s is corrupt, and nothing is lost', async (_, damage) => {
    const file = folder.createOver(5, LOOK);
    await file.write(PAGE, noise(PAGE, 1), BASE, SIGNAL);
    file.close();
    const path = folder.pathOf(5);
    const map = `${path}.pages`;
    damage(map);
    const left = [readFileSync(path, 'hex'), readFileSync(map, 'hex')];
    const opening = (): unknown => folder.open(5, BASE.size);
    expect(opening).toThrow(expect.objectContaining({ kind: 'corrupt' }));
    expect(opening).toThrow(map);
    expect([readFileSync(path, 'hex'), readFileSync(map, 'hex')]).toEqual(left);
  });

  it('of a later version is left to a newer tarn', () => {
    folder.createOver(5, LOOK).close();
    patch(`${folder.pathOf(5)}.pages`, 7, '\x02');
    expect(() => folder.open(5, BASE.size)).toThrow(
      expect.objectContaining({ kind: 'unsupported' }),
    );
  });

  it('of another base than the file has is corrupt', () => {
    folder.createOver(5, LOOK).close();
    expect(() => folder.open(5, BASE.size + 1)).toThrow('the base has');
  });

  it('that never reached the disk before a power cut is begun anew', async () => {
    folder.createOver(5, LOOK).close();
    truncateSync(`${folder.pathOf(5)}.pages`, 0);
    const file = folder.open(5, BASE.size);
    const bytes = await file.read(0, BASE.size, BASE, SIGNAL);
    expect(Buffer.from(bytes).equals(BASE.bytes)).toBe(true);
    file.close();
  });

  it('whose name never reached the disk before a power cut is begun anew', async () => {
    folder.createOver(5, LOOK).close();
    rmSync(`${folder.pathOf(5)}.pages`);
    expect(folder.isThere(5, true)).toBe(false);
    const file = folder.open(5, BASE.size);
    const bytes = await file.read(0, BASE.size, BASE, SIGNAL);
    expect(Buffer.from(bytes).equals(BASE.bytes)).toBe(true);
    expect(folder.isThere(5, true)).toBe(true);
    file.close();
  });

  it('that a power cut brought back says nothing of a file that became whole', async () => {
    const made = folder.createOver(5, LOOK);
    const map = readFileSync(`${folder.pathOf(5)}.pages`);
    await made.truncate(0);
    made.becomeWhole();
    await made.write(0, noise(5000, 1), undefined, SIGNAL);
    made.close();
    writeFileSync(`${folder.pathOf(5)}.pages`, map);
    const file = folder.open(5);
    expect(Buffer.from(await file.read(0, 9999, BASE, SIGNAL)).equals(noise(5000, 1))).toBe(true);
    file.close();
    expect(folder.isThere(5, true)).toBe(false);
  });
});

describe('a partial file', () => {
  it('can do without its base once it is cut to nothing', async () => {
    const file = folder.createOver(6, LOOK);
    expect(file.isEmpty).toBe(false);
    await file.truncate(0);
    expect(file.isEmpty).toBe(true);
    file.becomeWhole();
    expect(file.isWhole).toBe(true);
    file.close();
    const again = folder.open(6);
    await again.write(10, Buffer.from('x'), undefined, SIGNAL);
    expect(await again.read(0, 20, undefined, SIGNAL)).toEqual(Buffer.from('\0'.repeat(10) + 'x'));
    again.close();
  });

  it('stops hydrating when told to, and goes on where it was', async () => {
    const base = new NotedBase(3 * 1_048_576 + 1, 4);
    const file = folder.createOver(6, { ...LOOK, size: base.size });
    const stop = new AbortController();
    const stopping = {
      size: base.size,
      read(offset: number, length: number) {
        if (offset > 0) stop.abort();
        return base.read(offset, length);
      },
    };
    await expect(file.hydrate(stopping, stop.signal)).rejects.toMatchObject({ kind: 'aborted' });
    base.reads = [];
    await file.hydrate(base, SIGNAL);
    expect(base.reads.every(([start]) => start > 0)).toBe(true);
    file.becomeWhole();
    file.close();
    const again = folder.open(6);
    expect(again.isWhole).toBe(true);
    const bytes = await again.read(0, base.size, undefined, SIGNAL);
    expect(Buffer.from(bytes).equals(base.bytes)).toBe(true);
    again.close();
  });

  it('keeps what is written while it hydrates', async () => {
    const base = new NotedBase(4 * 1_048_576, 4);
    const file = folder.createOver(6, { ...LOOK, size: base.size });
    const want = Buffer.from(base.bytes);
    let writes = 0;
    const writing = {
      size: base.size,
      async read(offset: number, length: number) {
        const bytes = await base.read(offset, length);
        // Into what was just read of the base, before it is copied.
        const part = noise(5000, (writes += 1));
        part.copy(want, offset + 7000);
        await file.write(offset + 7000, part, base, SIGNAL);
        return bytes;
      },
    };
    await file.hydrate(writing, SIGNAL);
    file.becomeWhole();
    expect(writes).toBeGreaterThan(2);
    expect(Buffer.from(await file.read(0, base.size, undefined, SIGNAL)).equals(want)).toBe(true);
    file.close();
  });

  it('is mostly staged with pages of its own in more than half of its blocks', async () => {
    const base = new NotedBase(5 * 1_048_576, 4);
    const file = folder.createOver(6, { ...LOOK, size: base.size });
    for (const [block, isMost] of [
      [4, false],
      [0, false],
      [0, false],
      [2, true],
    ] as const) {
      await file.write(block * 1_048_576 + 4096, noise(PAGE, block), base, SIGNAL);
      expect(file.isMostlyStaged()).toBe(isMost);
    }
    await file.hydrate(base, SIGNAL);
    file.becomeWhole();
    expect(file.isMostlyStaged()).toBe(false);
    file.close();
  });

  it('lets others have their turn while much is cut off', async () => {
    const file = folder.create(6);
    await file.write(0, noise(40 * 1_048_576, 3), undefined, SIGNAL);
    const sizes: number[] = [];
    const look = (): void => {
      sizes.push(file.stat().size);
      if (sizes.at(-1) !== 5) setImmediate(look);
    };
    setImmediate(look);
    await file.truncate(5);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Buffer.from(await file.read(0, 9, undefined, SIGNAL)).equals(noise(5, 3))).toBe(true);
    file.close();
  });

  it('gives the name of a large file free at once', async () => {
    const file = folder.create(6);
    await file.truncate(64 * 1_048_576);
    folder.remove(6);
    expect([...folder.numbers()]).toEqual([]);
    const again = folder.create(6);
    file.closeLast();
    expect(again.stat().size).toBe(0);
    again.close();
  });

  it('is done alone where pages and bits are changed', async () => {
    let depth = 0;
    let times = 0;
    const calls = {
      ...PORTABLE_CALLS,
      alone<T>(_mapFd: number, work: () => T): T {
        times += 1;
        expect((depth += 1)).toBe(1);
        try {
          return work();
        } finally {
          depth -= 1;
        }
      },
    };
    const file = new StagedFolder(join(directory, 'alone'), calls).createOver(1, LOOK);
    await file.write(1, Buffer.from('x'), BASE, SIGNAL);
    await file.allocate(3, 5000, 3 * PAGE, BASE, SIGNAL);
    await file.truncate(9000);
    await file.hydrate(BASE, SIGNAL);
    expect(times).toBeGreaterThan(4);
    file.close();
  });
});

function patch(path: string, at: number, text: string): void {
  const bytes = readFileSync(path);
  bytes.write(text, at, 'latin1');
  writeFileSync(path, bytes);
}
