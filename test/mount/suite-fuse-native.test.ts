import { join } from 'node:path';
import { runFrozenMountSuite } from '../suites/filesystem-mount.js';
import { runFilesystemSuite } from '../suites/filesystem.js';
import { ServedMount } from './served.js';

for (const backing of ['none', 'exact', 'granted'] as const) {
  runFilesystemSuite(
    `fuse-native, backing ${backing}`,
    async (files) => {
      const served = await ServedMount.start('fuse-native', files, { view: { backing } });
      return { directory: served.directory, teardown: () => served.stop() };
    },
    { inodesInListings: true },
  );
}

runFilesystemSuite(
  'fuse-native, a branch that is followed',
  async (files) => {
    const served = await ServedMount.start('fuse-native', files, { shows: 'branch' });
    return { directory: served.directory, teardown: () => served.stop() };
  },
  { inodesInListings: true },
);

runFilesystemSuite(
  'fuse-native, a branch of a repository as a directory',
  async (files) => {
    const served = await ServedMount.start('fuse-native', files, { shows: 'repository' });
    return {
      directory: join(served.directory, 'branches/main'),
      teardown: () => served.stop(),
    };
  },
  { inodesInListings: true },
);

runFrozenMountSuite('fuse-native');
