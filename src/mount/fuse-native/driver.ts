import { realpath } from 'node:fs/promises';
import { TarnError } from '../../util/errors.js';
import type { Filesystem } from '../../vfs/filesystem.js';
import { isWritable } from '../../vfs/writable.js';
import type { Driver, Mounted, MountOptions } from '../driver.js';
import { checkMountPoint } from '../mount-point.js';
import { FilesystemOperations } from './operations.js';
import { Serving } from './serving.js';
import { WritableOperations } from './writable-operations.js';
import { loadFuse, type Fuse, type FuseOptions } from './package.js';
import { unmountDirectory, waitUntilGone, whyNoRights } from './system.js';

/** Seconds for which the kernel may keep names and attributes of what never changes: a year. */
const FROZEN_SECONDS = 31_536_000;
/** The package hands libfuse at most 1 KiB of options; the rest of them takes about 200 bytes. */
const SOURCE_CHARS_MAX = 512;

/**
 * The portable driver, over libfuse 2 and the npm package fuse-native. Every byte goes through
 * JavaScript and every call through one thread, so it is slower than the native driver; inodes are
 * libfuse's own, calls cannot be interrupted, times are of whole milliseconds and not before 1970.
 *
 * What is written has limits too: no fallocate, no rename that exchanges or refuses to replace; what is
 * made belongs to whom the mount shows. A file that is open when it is removed or replaced lives on as
 * `.fuse_hidden…` until it is closed, and for a moment its name leads nowhere.
 *
 * It lives in the main thread only, because the package runs on the default event loop.
 */
export class FuseNativeDriver implements Driver {
  readonly name = 'fuse-native';

  async unavailable(): Promise<string | undefined> {
    try {
      loadFuse();
    } catch (error) {
      if (!(error instanceof TarnError)) throw error;
      return `${error.message}: ${error.hint ?? ''}`;
    }
    return whyNoRights();
  }

  async mount(filesystem: Filesystem, directory: string, options: MountOptions): Promise<Mounted> {
    const why = await this.unavailable();
    if (why !== undefined) throw new TarnError('unsupported', why);
    return FuseNativeMount.start(filesystem, await mountPoint(directory), options);
  }
}

class FuseNativeMount implements Mounted {
  readonly directory: string;
  readonly features: Mounted['features'];
  readonly ended: Promise<void>;
  readonly #stopWatching = new AbortController();

  static async start(
    filesystem: Filesystem,
    directory: string,
    options: MountOptions,
  ): Promise<FuseNativeMount> {
    const serving = new Serving(filesystem, options);
    const operations = isWritable(filesystem)
      ? new WritableOperations(filesystem, serving)
      : new FilesystemOperations(filesystem, serving);
    const fuseOptions = fuseOptionsOf(filesystem, options);
    const fuse = new (loadFuse())(directory, operations, fuseOptions);
    await new Promise<void>((resolve, reject) => {
      fuse.mount((error) => {
        if (error === null) resolve();
        else reject(mountFault(directory, options, error));
      });
    });
    return new FuseNativeMount(directory, fuse, serving, options);
  }

  private constructor(directory: string, fuse: Fuse, serving: Serving, options: MountOptions) {
    this.directory = directory;
    this.features = { driver: 'fuse-native', libfuse: 2, passthrough: false };
    const letGo = (): void => {
      serving.end();
      fuse.unmount((error) => {
        if (error !== null) options.onFault(error);
      });
    };
    this.ended = waitUntilGone(directory, this.#stopWatching.signal).then(letGo);
  }

  async unmount(options: { readonly force?: boolean } = {}): Promise<void> {
    await unmountDirectory(this.directory, options.force ?? false);
    this.#stopWatching.abort();
    await this.ended;
  }
}

function fuseOptionsOf(filesystem: Filesystem, options: MountOptions): FuseOptions {
  // It has one lifetime for all names, and remembers bytes by path.
  const isKept = filesystem.frozen && filesystem.isPassing === undefined;
  const seconds = isKept ? FROZEN_SECONDS : 0;
  // libfuse splits its options at commas and takes a backslash to quote one.
  const source = filesystem.sourceName.slice(0, SOURCE_CHARS_MAX).replace(/[\\,]/g, '\\$&');
  const more = [
    source,
    'subtype=tarn',
    // Writes of more than a page at a time.
    isWritable(filesystem) ? 'big_writes' : 'ro',
    'nosuid',
    'nodev',
    `entry_timeout=${seconds}`,
    `negative_timeout=${seconds}`,
    `attr_timeout=${seconds}`,
  ];
  return {
    timeout: false,
    allowOther: options.allowOther,
    defaultPermissions: true,
    kernelCache: isKept,
    fsname: more.join(','),
  };
}

/** Other systems have no table of mounts to check against; the package refuses what it must. */
function mountPoint(directory: string): Promise<string> {
  return process.platform === 'linux' ? checkMountPoint(directory) : realpath(directory);
}

function mountFault(directory: string, options: MountOptions, cause: Error): TarnError {
  if (cause.message === 'Mountpoint in use') {
    return new TarnError('busy', `something is mounted on ${directory} already`, {
      cause,
      hint: 'choose another directory, or unmount that one first',
    });
  }
  const hint =
    options.allowOther && process.getuid?.() !== 0
      ? "let other users in only with the line 'user_allow_other' in /etc/fuse.conf"
      : 'libfuse wrote the reason on the standard error of the process that mounts';
  return new TarnError('denied', `libfuse could not mount on ${directory}`, { cause, hint });
}
