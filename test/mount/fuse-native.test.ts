import { promises as fs } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FuseNativeDriver } from '../../src/mount/fuse-native/driver.js';
import { FrozenFilesystem } from '../../src/vfs/frozen-filesystem.js';
import { MemoryView } from '../vfs/memory-view.mjs';
import { ServedMount } from './served.js';

describe('the driver fuse-native', () => {
  let served: ServedMount | undefined;
  const at = (path: string): string => join(served?.directory ?? '', path);
  beforeAll(async () => {
    served = await ServedMount.start('fuse-native', [
      { path: 'old', bytes: 'x', mtimeMs: -86_400_000 },
      { path: 'fine', bytes: 'x', mtimeMs: 1_718_000_000_123 },
      ...Array.from({ length: 12_000 }, (_, i) => ({ path: `crowd/${i}` })),
      ...Array.from({ length: 300 }, (_, i) => ({ path: `many/${i}`, bytes: `${i}` })),
    ]);
  });
  afterAll(async () => {
    await served?.stop();
  });

  it('says nothing is missing where it can work', async () => {
    expect(await new FuseNativeDriver().unavailable()).toBeUndefined();
  });

  it('shows times before 1970 as 1970, and later ones to the millisecond', async () => {
    expect((await fs.stat(at('old'))).mtimeMs).toBe(0);
    expect((await fs.stat(at('fine'))).mtimeMs).toBe(1_718_000_000_123);
  });

  it('keeps hundreds of files open at once', async () => {
    const files = await Promise.all(
      Array.from({ length: 300 }, (_, i) => fs.open(at(`many/${i}`))),
    );
    try {
      expect(await served?.ask('reads')).toMatch(/ opened 300$/);
      for (const [i, file] of files.entries()) expect(await file.readFile('utf8')).toBe(`${i}`);
    } finally {
      await Promise.all(files.map((file) => file.close()));
    }
    await expect.poll(() => served?.ask('reads')).toMatch(/ opened 0$/);
  });

  it('lists a directory that takes several turns, each name once', async () => {
    const names = await fs.readdir(at('crowd'));
    expect(names.length).toBe(12_000);
    expect(new Set(names).size).toBe(12_000);
  });

  it.each([
    ['a directory that is not there', 'nowhere', 'not-found'],
    ['a file', 'file', 'not-directory'],
    ['a directory that is not empty', 'full', 'not-empty'],
  ])('refuses to mount on %s', async (_, name, kind) => {
    const folder = await fs.mkdtemp(join(tmpdir(), 'tarn-refused-'));
    try {
      await fs.writeFile(join(folder, 'file'), '');
      await fs.mkdir(join(folder, 'full/x'), { recursive: true });
      const options = { allowOther: false, uid: 0, gid: 0, onFault: () => undefined };
      const filesystem = new FrozenFilesystem(new MemoryView([]));
      const mounting = new FuseNativeDriver().mount(filesystem, join(folder, name), options);
      await expect(mounting).rejects.toMatchObject({ kind });
    } finally {
      await fs.rm(folder, { recursive: true });
    }
  });
});
