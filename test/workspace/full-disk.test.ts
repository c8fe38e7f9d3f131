import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ensureBuilt } from './built.js';
import { key, Sandbox } from './sandbox.js';

/** Only root can mount a small file system to fill. */
const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)('a full disk (needs root, to mount one)', () => {
  const disk = mkdtempSync(join(tmpdir(), 'tarn-full-'));
  let sandbox: Sandbox;
  let source: string;

  beforeAll(ensureBuilt);
  beforeEach(async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tarn-test', disk]);
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(14 << 20));
    sandbox = await Sandbox.make(join(disk, 'drive'));
    source = join(sandbox.directory, 'source');
    mkdirSync(source);
  });
  afterEach(async () => {
    await sandbox.remove();
    execFileSync('umount', [disk]);
  });
  afterAll(() => rmSync(disk, { recursive: true }));

  async function readStaged(): Promise<number> {
    const view = await (await sandbox.workspace()).view();
    const cursor = view.cursor();
    let count = 0;
    for (let ok = await cursor.seek(key('')); ok; ok = await cursor.next()) {
      const content = await view.open(cursor.key, cursor.entry());
      const bytes = Buffer.from(await content.read(0, content.size));
      content.close();
      expect(bytes.equals(readFileSync(join(source, cursor.key)))).toBe(true);
      count += 1;
    }
    return count;
  }

  it.each([
    ['small files', 3_000, 6_000],
    ['a large file among small ones', 100, 150_000],
  ])(
    'in the middle of a put of %s stages nothing without its bytes',
    async (_what, count, size) => {
      for (let i = 0; i < count; i += 1) {
        const isLarge = size > 100_000 && i === count >> 1;
        writeFileSync(join(source, `f${i}`), randomBytes(isLarge ? 5_000_000 : size));
      }
      const input = { ...sandbox.target, sources: [source], prefix: key(''), recursive: true };
      await expect(sandbox.threads.run('put', input)).rejects.toMatchObject({
        kind: 'no-space',
        hint: expect.stringContaining('free some space') as string,
      });
      expect(await readStaged()).toBeLessThan(count);
      rmSync(join(disk, 'ballast'));
      execFileSync('mount', ['-o', 'remount,size=64m', disk]);
      expect(await sandbox.threads.run('put', input)).toMatchObject({
        files: count,
        failureCount: 0,
      });
      expect(await readStaged()).toBe(count);
    },
  );

  it('at a commit leaves the branch and what is staged as they were', async () => {
    writeFileSync(join(source, 'a'), 'a');
    const input = { ...sandbox.target, sources: [source], prefix: key(''), recursive: true };
    await sandbox.threads.run('put', input);
    const repository = await sandbox.repository();
    const before = (await repository.resolve('main')).commitId;
    fill(join(disk, 'more'));
    const commit = { ...sandbox.target, message: 'm', author: 'rosa' };
    await expect(sandbox.threads.run('commit', commit)).rejects.toMatchObject({ kind: 'no-space' });
    expect((await repository.resolve('main')).commitId).toBe(before);
    expect(await readStaged()).toBe(1);
    rmSync(join(disk, 'more'));
    await sandbox.threads.run('commit', commit);
    expect((await repository.resolve('main~1')).commitId).toBe(before);
  });

  /** Writes until not a byte more is taken. */
  function fill(path: string): void {
    for (let part = 1 << 20; part >= 1; part >>= 1) {
      for (;;) {
        try {
          writeFileSync(path, Buffer.alloc(part), { flag: 'a' });
        } catch {
          break;
        }
      }
    }
  }
});
