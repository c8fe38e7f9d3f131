import { mkdir, opendir, readdir, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NativeDriver } from '../../src/mount/native/driver.js';
import type { FileSpec } from '../suites/filesystem-files.js';
import type { FilesystemUnderTest } from '../suites/filesystem.js';
import { runWritableFilesystemSuite } from '../suites/writable-filesystem.js';
import { NativeChild, type ChildOptions } from './native-child.js';

const missing = await new NativeDriver().unavailable();
const LACKS = { temporaryFiles: true };

function mounted(options: ChildOptions) {
  return async (files: readonly FileSpec[]): Promise<FilesystemUnderTest> => {
    const child = await NativeChild.mounted({ ...options, writable: files });
    return {
      directory: child.directory,
      async teardown() {
        const { faults } = await child.counts();
        await child.call('unmount', { force: true });
        await child.stop();
        if (faults.length > 0) throw new Error(`faults: ${faults.join('; ')}`);
      },
    };
  };
}

describe.skipIf(missing !== undefined)('a workspace, mounted by the native driver', () => {
  runWritableFilesystemSuite('native', mounted({ workspace: {} }), LACKS);
  runWritableFilesystemSuite(
    'native, without passthrough, over a base that is loaded',
    mounted({ workspace: { slow: true, backing: 'granted' }, noPassthrough: true }),
    LACKS,
  );

  describe.skipIf(process.getuid?.() !== 0)('opens a directory that was opened before', () => {
    const FILES = [{ path: 'labels/8421.json', bytes: '{"label":"glare"}' }];
    const opened = async (child: NativeChild): Promise<unknown> =>
      (await child.features())['nativeOpendirs'];

    it.each([{ slow: false }, { slow: true }])(
      'by itself, and lists what is there by now: %j',
      async (view) => {
        const child = await NativeChild.mounted({ workspace: view, writable: FILES });
        try {
          const labels = join(child.directory, 'labels');
          expect(await readdir(labels)).toEqual(['8421.json']);
          expect(await opened(child)).toBe(0);
          await writeFile(join(labels, '8422.json'), '{}');
          expect((await readdir(labels)).sort()).toEqual(['8421.json', '8422.json']);
          await rm(join(labels, '8421.json'));
          expect(await readdir(labels)).toEqual(['8422.json']);
          expect(await opened(child)).toBe(2);
          expect((await child.counts()).faults).toEqual([]);
        } finally {
          await child.stop();
        }
      },
    );

    it('not once it has gone and another took its name', async () => {
      const child = await NativeChild.mounted({ workspace: {}, writable: FILES });
      try {
        const made = join(child.directory, 'made');
        await mkdir(made);
        expect(await readdir(made)).toEqual([]);
        const open = await opendir(made);
        const { ino } = await stat(made);
        await rmdir(made);
        await mkdir(made);
        await writeFile(join(made, 'log.mcap'), '');
        expect(await readdir(made)).toEqual(['log.mcap']);
        expect((await stat(made)).ino).not.toBe(ino);
        expect(await open.read()).toBeNull();
        await open.close();
        expect((await child.counts()).faults).toEqual([]);
      } finally {
        await child.stop();
      }
    });
  });
});
