import { describe } from 'vitest';
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
});
