import type { Filesystem } from '../vfs/filesystem.js';
import type { Keeper } from './native/keeper.js';

/** A way to put a Filesystem under a directory. Each driver runs test/suites/filesystem.ts. */
export interface Driver {
  readonly name: DriverName;
  /** What keeps this driver from working here, and how to get it; undefined when it can. */
  unavailable(): Promise<string | undefined>;
  /**
   * Mounts; resolves once the kernel has accepted the mount and answers can be given.
   * @throws TarnError unsupported, denied, invalid, busy
   */
  mount(filesystem: Filesystem, directory: string, options: MountOptions): Promise<Mounted>;
}

export type DriverName = 'native' | 'fuse-native';

export interface MountOptions {
  /** Let other users in (root always may). */
  readonly allowOther: boolean;
  /** Owner shown for every file. */
  readonly uid: number;
  readonly gid: number;
  /** Faults of the filesystem and of the transport, for the log. */
  readonly onFault: (error: unknown) => void;
  /**
   * Makes the mount outlive this process, where the driver, the kernel and the filesystem can do that:
   * `text` is what a later process gets with it.
   */
  readonly keeping?: { readonly keeper: Keeper; readonly text: string };
  /** What is read is fetched from elsewhere, in blocks of 1 MiB, and ahead of readers by the filesystem. */
  readonly isFar?: boolean;
  /** Never use kernel passthrough, also where it would work. */
  readonly noPassthrough?: boolean;
}

export interface Mounted {
  readonly directory: string;
  /** What the driver got from this kernel and these rights, for `tarn mounts` and the log. */
  readonly features: Readonly<Record<string, string | number | boolean>>;
  /**
   * Unmounts and lets go of everything. Busy (an open file, a working directory) is an error unless
   * `force`, which detaches: what is open then gets ENOTCONN.
   * @throws TarnError busy
   */
  unmount(options?: { readonly force?: boolean }): Promise<void>;
  /** Resolves when the mount is gone, by us or by `umount` from outside. */
  readonly ended: Promise<void>;
}
