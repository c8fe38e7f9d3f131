import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommitId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import { LocalRefStore, REFS_FILE } from '../../src/store/local/refs.js';
import { TarnError } from '../../src/util/errors.js';
import { runRefStoreSuite } from '../suites/ref-store.js';

runRefStoreSuite('a local database', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tarn-refs-'));
  const store = LocalRefStore.create(directory);
  return {
    store,
    another: () => LocalRefStore.open(directory),
    teardown: async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
});

describe('a damaged ref database', () => {
  let directory: string;
  let file: string;
  const commit = sha256(Buffer.from('commit')) as CommitId;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tarn-refs-'));
    file = join(directory, REFS_FILE);
    const store = LocalRefStore.create(directory);
    for (let i = 0; i < 200; i += 1) {
      await store.compareAndSwap({
        kind: 'branch',
        name: `branch-${i}`,
        expected: undefined,
        next: commit,
        by: 'rosa',
        atMs: i,
        why: 'branch create',
      });
    }
    await store.close();
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Opens it and reads every ref; resolves to the names, each of which led to the right commit. */
  async function readAll(): Promise<string[]> {
    const store = LocalRefStore.open(directory);
    try {
      const names: string[] = [];
      for await (const ref of store.list('branch')) {
        expect(ref.commit).toBe(commit);
        names.push(ref.name);
      }
      for await (const change of store.history('branch', 'branch-7')) {
        expect(change).toMatchObject({ number: 8, next: commit, atMs: 7, by: 'rosa' });
      }
      return names;
    } finally {
      await store.close();
    }
  }

  it('that is missing, empty, or no database is corrupt, and named', async () => {
    for (const content of [undefined, '', 'x'.repeat(8192)]) {
      rmSync(file);
      if (content !== undefined) writeFileSync(file, content);
      await expect(readAll()).rejects.toMatchObject({
        kind: 'corrupt',
        message: expect.stringContaining(file) as string,
      });
      if (content === undefined) writeFileSync(file, '');
    }
  });

  it('that was cut anywhere is corrupt', async () => {
    const { length } = readFileSync(file);
    for (const size of [length - 1, length - 4096, 4096, 100, 16]) {
      truncateSync(file, size);
      await expect(readAll()).rejects.toMatchObject({ kind: 'corrupt' });
    }
  });

  it('never leads a ref to another commit, whichever byte is flipped', async () => {
    const original = readFileSync(file);
    let noticed = 0;
    for (let at = 0; at < original.length; at += 97) {
      const damaged = Buffer.from(original);
      damaged[at] = (damaged[at] ?? 0) ^ 0x04;
      writeFileSync(file, damaged);
      try {
        await readAll();
      } catch (error) {
        expect(error).toBeInstanceOf(TarnError);
        noticed += 1;
      }
    }
    expect(noticed).toBeGreaterThan(20);
  });
});
