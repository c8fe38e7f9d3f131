import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type * as AddonModule from '../../src/mount/native/addon.js';
import { NativeDriver } from '../../src/mount/native/driver.js';
import { FrozenFilesystem } from '../../src/vfs/frozen-filesystem.js';
import { MemoryView } from '../vfs/memory-view.mjs';
import { run } from '../cli/shell.js';

// The limit on processes does not bind root, and only root can mount without a helper: so the
// addon's own answer for "no thread" is given in its place.
vi.mock('../../src/mount/native/addon.js', async (original) => {
  const actual = await original<typeof AddonModule>();
  return {
    ...actual,
    loadAddon: () => {
      const addon = actual.loadAddon();
      class Unstarted extends addon.Session {
        override start(): boolean {
          return false;
        }
      }
      return Object.assign(Object.create(addon) as typeof addon, { Session: Unstarted });
    },
  };
});

const missing = await new NativeDriver().unavailable();

describe.skipIf(missing !== undefined)('a native mount that nobody could serve', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tarn-start-'));
  });

  afterEach(async () => {
    await run('umount', ['-l', directory]);
    rmSync(directory, { recursive: true });
  });

  it('is taken away again, with its descriptor', async () => {
    const descriptors = readdirSync('/proc/self/fd').length;
    const filesystem = new FrozenFilesystem(new MemoryView([{ path: 'a', bytes: 'alpha' }]));
    const faults: unknown[] = [];
    const mounting = new NativeDriver().mount(filesystem, directory, {
      allowOther: false,
      uid: 0,
      gid: 0,
      onFault: (error) => faults.push(error),
    });
    await expect(mounting).rejects.toMatchObject({
      kind: 'unavailable',
      message: 'no thread could be started to serve the mount',
    });
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
    expect(readdirSync('/proc/self/fd')).toHaveLength(descriptors);
    expect(faults).toEqual([]);
  });
});
