import { join } from 'node:path';
import { runFrozenMountSuite } from '../suites/filesystem-mount.js';
import { runFilesystemSuite } from '../suites/filesystem.js';
import { ServedMount } from './served.js';

for (const backing of ['none', 'exact', 'granted'] as const) {
  runFilesystemSuite(`native, backing ${backing}`, async (files) => {
    const served = await ServedMount.start('native', files, { view: { backing } });
    return { directory: served.directory, teardown: () => served.stop() };
  });
}

runFilesystemSuite('native, a branch that is followed', async (files) => {
  const served = await ServedMount.start('native', files, {
    shows: 'branch',
    view: { backing: 'granted', slow: true },
  });
  return { directory: served.directory, teardown: () => served.stop() };
});

runFilesystemSuite('native, a branch of a repository as a directory', async (files) => {
  const served = await ServedMount.start('native', files, {
    shows: 'repository',
    view: { backing: 'granted' },
  });
  return {
    directory: join(served.directory, 'branches/main'),
    teardown: () => served.stop(),
  };
});

runFrozenMountSuite('native');
