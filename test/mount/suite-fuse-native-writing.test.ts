import { describe } from 'vitest';
import { FuseNativeDriver } from '../../src/mount/fuse-native/driver.js';
import type { FileSpec } from '../suites/filesystem-files.js';
import type { FilesystemUnderTest } from '../suites/filesystem.js';
import { runWritableFilesystemSuite } from '../suites/writable-filesystem.js';
import { NativeChild, type ChildOptions } from './native-child.js';

const missing = await new FuseNativeDriver().unavailable();

/** What libfuse 2 does not pass on, or not through the package. */
const LACKS = {
  ranges: true,
  renameFlags: true,
  // libfuse gives an open file that is replaced another name first.
  replacing: true,
  nanoseconds: true,
  inodes: true,
  temporaryFiles: true,
};

function mounted(options: ChildOptions) {
  return async (files: readonly FileSpec[]): Promise<FilesystemUnderTest> => {
    const child = await NativeChild.mounted({
      ...options,
      driver: 'fuse-native',
      writable: files,
    });
    return {
      directory: child.directory,
      async teardown() {
        const { faults, held = 0 } = await child.counts();
        await child.call('unmount', { force: true });
        await child.stop();
        if (faults.length > 0) throw new Error(`faults: ${faults.join('; ')}`);
        if (held !== 0) throw new Error(`${held} nodes are still held`);
      },
    };
  };
}

describe.skipIf(missing !== undefined)('the driver fuse-native writing', () => {
  runWritableFilesystemSuite('fuse-native', mounted({}), LACKS);
  runWritableFilesystemSuite('fuse-native, a branch', mounted({ workspace: {} }), LACKS);
});
