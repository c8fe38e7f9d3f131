import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Fault } from '../../src/repo/fsck/findings.js';
import { ensureBuilt } from './built.js';
import { key, Sandbox } from './sandbox.js';

describe('fsck', () => {
  let sandbox: Sandbox;
  beforeAll(ensureBuilt);
  beforeEach(async () => {
    sandbox = await Sandbox.make();
    const source = join(sandbox.directory, 'source');
    mkdirSync(source);
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < 300; i += 1) {
        writeFileSync(join(source, `label-${i}.json`), randomBytes(round === 0 || i < 3 ? 900 : 0));
      }
      writeFileSync(join(source, 'run.mcap'), randomBytes(2_500_000));
      await put(source, '');
      await sandbox.threads.run('commit', { ...sandbox.target, message: 'm', author: 'rosa' });
    }
    await put(join(source, 'run.mcap'), 'staged.mcap');
  });
  afterEach(() => sandbox.remove());

  function put(source: string, prefix: string): Promise<unknown> {
    const target = { ...sandbox.target, sources: [source], prefix: key(prefix), recursive: true };
    return sandbox.threads.run('put', target);
  }

  async function check(fast = false) {
    const faults: Fault[] = [];
    const onRows = (rows: readonly Fault[]): Promise<void> => {
      faults.push(...rows);
      return Promise.resolve();
    };
    const input = { repository: 'drive', fast };
    const counts = await sandbox.threads.run('fsck', input, { onRows });
    return { faults, counts };
  }

  function objects(): string[] {
    return ['trees', 'commits', 'packs', 'files', 'manifests'].flatMap((kind) =>
      readdirSync(join(sandbox.storage, kind), { recursive: true, encoding: 'utf8' })
        .map((name) => join(sandbox.storage, kind, name))
        .filter((path) => statSync(path).isFile()),
    );
  }

  function flipByte(path: string, offset: number): void {
    const fd = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, offset);
    writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, offset);
    closeSync(fd);
  }

  it('finds nothing wrong with a sound repository, and looks at all of it', async () => {
    const { faults, counts } = await check();
    expect(faults).toEqual([]);
    expect(counts).toMatchObject({ refs: 1, commits: 3, faults: 0 });
    expect(counts.nodes).toBeGreaterThan(6);
    expect(counts.entries).toBeGreaterThan(600);
    expect(counts.bytes).toBeGreaterThan(2 * 2_500_000);
    expect((await check(true)).counts).toMatchObject({ faults: 0, bytes: 0 });
  });

  it('finds a changed byte in any object, and names the object', async () => {
    for (const path of objects()) {
      const { size } = statSync(path);
      const offset = Math.floor(size * 0.4);
      flipByte(path, offset);
      const { faults } = await check();
      expect(faults.length, path).toBeGreaterThan(0);
      for (const { kind, where } of faults) {
        expect(kind).toBe('corrupt');
        expect(where).toMatch(/branch|commit|staged/);
      }
      flipByte(path, offset);
    }
    expect((await check()).faults).toEqual([]);
  }, 60_000);

  it('finds that any object is missing, also without reading contents', async () => {
    for (const path of objects()) {
      const hidden = join(sandbox.directory, 'hidden');
      renameSync(path, hidden);
      const { faults } = await check(true);
      expect(faults.length, path).toBeGreaterThan(0);
      expect(
        faults.map(({ kind }) => kind),
        path,
      ).toContain('not-found');
      renameSync(hidden, path);
    }
    expect((await check(true)).faults).toEqual([]);
  }, 60_000);
});
