import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, run, type Place } from './judge.js';

const TARN = join(ROOT, 'scripts/tarn');

export interface OpenPlace extends Place {
  close(): Promise<void>;
}

/** An empty folder on the disk. */
export async function onDisk(parent: string | undefined): Promise<OpenPlace> {
  const root = await openFolder(parent ?? tmpdir(), 'tarn-judge-');
  const [directory, scratch] = [join(root, 'disk'), join(root, 'scratch')];
  await mkdir(directory);
  await mkdir(scratch);
  return { directory, scratch, close: () => rm(root, { recursive: true, force: true }) };
}

/** A directory that is there already, such as a mount of somebody else's; it is left alone. */
export async function inDirectory(given: string): Promise<OpenPlace> {
  const scratch = await mkdtemp(join(tmpdir(), 'tarn-judge-'));
  const directory = await openFolder(given, 'judge-');
  return {
    directory,
    scratch,
    close: async () => {
      await rm(directory, { recursive: true, force: true });
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** A new branch, mounted for writing by a daemon of its own. */
export async function onMount(parent: string | undefined, driver: string): Promise<OpenPlace> {
  const root = await openFolder(parent ?? tmpdir(), 'tarn-judge-');
  const [directory, scratch] = [join(root, 'mounted'), join(root, 'scratch')];
  await mkdir(directory);
  await mkdir(scratch);
  const tarn = async (...args: string[]): Promise<void> => {
    const ran = await run(TARN, args, { env: { TARN_HOME: join(root, 'home') } });
    if (ran.code !== 0) throw new Error(`tarn ${args.join(' ')}: ${ran.output}`);
  };
  const close = async (): Promise<void> => {
    await tarn('umount', '--all', '--force').catch(() => undefined);
    await tarn('daemon', 'stop').catch(() => undefined);
    await rm(root, { recursive: true, force: true });
  };
  try {
    await tarn('repo', 'create', 'judged');
    await tarn('mount', '--write', 'judged/main', directory, '--driver', driver);
  } catch (error) {
    await close();
    throw error;
  }
  const lacks = driver === 'fuse-native' ? ['posix_fallocate', 'punch_hole'] : [];
  return { directory, scratch, lacks, close };
}

/** A new folder that other users may pass, since some judges become one. */
async function openFolder(parent: string, prefix: string): Promise<string> {
  const folder = await mkdtemp(join(parent, prefix));
  await chmod(folder, 0o755);
  return folder;
}
