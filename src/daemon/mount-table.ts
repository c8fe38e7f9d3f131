import type { Driver, DriverName, Mounted } from '../mount/driver.js';
import type { Keeper, KeptMount } from '../mount/native/keeper.js';
import { isDeadMount, listTarnMounts, removeDeadMount } from '../mount/mounts.js';
import type { ReadCounts, ReadTally } from '../store/traffic.js';
import { asTarnError, TarnError } from '../util/errors.js';
import type { Filesystem } from '../vfs/filesystem.js';
import type { Log } from './log.js';
import { MountRecord, type RecordedMount } from './mount-record.js';
import type { MountArguments, MountRow } from './protocol.js';

interface Live {
  readonly row: MountRow;
  readonly shown: () => Shown;
  readonly args: MountArguments;
  readonly mounted: Mounted;
  readonly tally: ReadTally | undefined;
}

/** What a mount shows at the moment. */
export type Shown = Pick<MountRow, 'repository' | 'ref' | 'commit' | 'follow' | 'gone'>;

/** That a mount outlives the daemon, and which one it is where an earlier daemon has made it. */
export interface Keeping {
  readonly kept?: KeptMount;
}

export interface MountHow {
  /** Called once when the mount is gone. */
  readonly onEnded?: () => void;
  /** Whoever makes such a mount goes on with it in kept-mounts.ts. */
  readonly keeping?: Keeping;
  /** The repository lies in a bucket. */
  readonly isFar?: boolean;
  /** Counts what is read of files through the mount. */
  readonly tally?: ReadTally;
}

/** How long a mount in use may keep a stopping daemon waiting. */
const STOP_GRACE_MS = 2_000;
const STOP_RETRY_MS = 100;

/** What this daemon has mounted; a file beside the socket remembers it for the next daemon. */
export class MountTable {
  readonly #record: MountRecord;
  readonly #log: Log;
  /** Without one mounts end with the daemon. */
  readonly #keeper: Keeper | undefined;
  readonly #live = new Map<string, Live>();
  /** Directories being mounted right now. */
  readonly #pending = new Set<string>();
  /** Of an earlier daemon, to be mounted again. */
  #lost: readonly RecordedMount[] = [];

  constructor(file: string, log: Log, keeper?: Keeper) {
    this.#record = new MountRecord(file);
    this.#log = log;
    this.#keeper = keeper;
  }

  /** Has ready what the first mount would wait for. */
  async prepare(): Promise<void> {
    await loadDriver('native');
    this.#keeper?.prepare();
  }

  /** From here on nobody takes a keeper for one that holds mounts where there are none. */
  restKeeper(): void {
    if (this.#live.size === 0) this.#keeper?.bye();
  }

  rows(): MountRow[] {
    return [...this.#live.values()].map(({ row, shown, mounted }) => ({
      ...row,
      ...shown(),
      features: mounted.features,
    }));
  }

  /** What was read of files through each mount, where that is counted. */
  reads(): { readonly row: MountRow; readonly reads: ReadCounts | undefined }[] {
    return [...this.#live.values()].map(({ row, shown, tally }) => ({
      row: { ...row, ...shown() },
      reads: tally?.counts(),
    }));
  }

  get size(): number {
    return this.#live.size;
  }

  /** @throws TarnError busy, unsupported, denied, not-empty, …; onEnded is not called then */
  async mount(
    filesystem: Filesystem,
    shown: () => Shown,
    args: MountArguments,
    how: MountHow = {},
  ): Promise<MountRow> {
    const { directory } = args;
    if (this.#live.has(directory) || this.#pending.has(directory)) {
      throw new TarnError('busy', `'${directory}' is being used by another mount`, {
        hint: `run 'tarn umount ${directory}' first`,
      });
    }
    this.#pending.add(directory);
    try {
      const mounted = await this.#made(filesystem, shown, args, how);
      return this.#add(shown, args, mounted, how);
    } finally {
      this.#pending.delete(directory);
    }
  }

  /** @throws TarnError not-found, busy */
  async unmount(directory: string, force: boolean): Promise<MountRow> {
    const live = this.#live.get(directory);
    if (live === undefined) {
      throw new TarnError('not-found', `this daemon has nothing mounted on '${directory}'`);
    }
    await live.mounted.unmount({ force });
    await live.mounted.ended;
    return { ...live.row, ...live.shown() };
  }

  /** Gives up a mount that an earlier daemon has left: programs get errors from it. */
  letGo(kept: KeptMount): void {
    this.#keeper?.drop(kept.id);
  }

  /** Waits a while for mounts in use, then detaches them. */
  async close(): Promise<void> {
    const deadlineMs = performance.now() + STOP_GRACE_MS;
    await Promise.all(
      [...this.#live.keys()].map((directory) => this.#close(directory, deadlineMs)),
    );
    this.#keeper?.bye();
  }

  /**
   * Takes away what an earlier daemon of this home, killed, has left mounted; resolves to what it had
   * mounted, which stays recorded until forgetLost.
   * @param left directories of mounts that go on
   */
  async clearDead(left: ReadonlySet<string>): Promise<readonly RecordedMount[]> {
    this.#lost = this.#record.read();
    const recorded = new Set(this.#lost.map(({ directory }) => directory));
    for (const { directory } of await listTarnMounts()) {
      if (!recorded.has(directory) || left.has(directory) || !(await isDeadMount(directory)))
        continue;
      try {
        await removeDeadMount(directory);
        this.#log.warn('dead mount removed', { directory });
      } catch (error) {
        this.#log.fault('dead mount stays', error, { directory });
      }
    }
    return this.#lost;
  }

  forgetLost(): void {
    this.#lost = [];
    this.#remember();
  }

  async #made(
    filesystem: Filesystem,
    shown: () => Shown,
    args: MountArguments,
    { keeping, isFar = false }: MountHow,
  ): Promise<Mounted> {
    const { directory } = args;
    const keeper = keeping === undefined ? undefined : this.#keeper;
    const text = JSON.stringify(recordOf(args, shown()));
    const options = {
      allowOther: args.allowOther,
      uid: args.write?.uid ?? process.getuid?.() ?? 0,
      gid: args.write?.gid ?? process.getgid?.() ?? 0,
      onFault: (error: unknown) => this.#log.fault('mount fault', error, { directory }),
      isFar,
      ...(keeper === undefined ? {} : { keeping: { keeper, text } }),
    };
    if (keeping?.kept !== undefined) {
      const { NativeDriver } = await import('../mount/native/driver.js');
      return new NativeDriver().resume(filesystem, keeping.kept, options);
    }
    const driver = await loadDriver(args.driver);
    const reason = await driver.unavailable();
    if (reason !== undefined) throw unavailableDriver(driver.name, reason);
    return driver.mount(filesystem, directory, options);
  }

  #add(shown: () => Shown, args: MountArguments, mounted: Mounted, how: MountHow): MountRow {
    const { directory } = args;
    const { onEnded, tally } = how;
    const row: MountRow = {
      directory,
      ...shown(),
      driver: args.driver,
      state: 'mounted',
      ...(args.write === undefined ? {} : { write: true }),
      since: new Date().toISOString(),
    };
    this.#live.set(directory, { row, shown, args, mounted, tally });
    void mounted.ended.then(() => {
      this.#live.delete(directory);
      this.#remember();
      onEnded?.();
      this.#log.info('unmounted', { directory, ...tally?.counts() });
    });
    this.#remember();
    this.#log.info('mounted', { ...row, features: mounted.features });
    return { ...row, features: mounted.features };
  }

  async #close(directory: string, deadlineMs: number): Promise<void> {
    for (;;) {
      const force = performance.now() >= deadlineMs;
      try {
        await this.unmount(directory, force);
        return;
      } catch (error) {
        const { kind } = asTarnError(error);
        if (kind === 'not-found') return;
        if (force || kind !== 'busy') {
          this.#log.fault('unmount failed', error, { directory });
          if (force) return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, STOP_RETRY_MS));
    }
  }

  /**
   * Never throws: mounts go on serving on a full disk. What is recorded only serves to clear up
   * after a daemon that was killed, and to mount again; the next change records all again.
   */
  #remember(): void {
    const live = [...this.#live.values()].map(({ args, row }) => recordOf(args, row));
    try {
      this.#record.write([...this.#lost, ...live]);
    } catch (error) {
      this.#log.fault('mounts not recorded', error);
    }
  }
}

function recordOf(args: MountArguments, { commit }: Shown): RecordedMount {
  return { ...args, ...(commit === undefined ? {} : { commit }) };
}

async function loadDriver(name: DriverName): Promise<Driver> {
  switch (name) {
    case 'native':
      return new (await import('../mount/native/driver.js')).NativeDriver();
    case 'fuse-native':
      return new (await import('../mount/fuse-native/driver.js')).FuseNativeDriver();
  }
}

function unavailableDriver(name: DriverName, reason: string): TarnError {
  const other = name === 'native' ? "; or try '--driver fuse-native'" : '';
  return new TarnError('unsupported', `the ${name} driver cannot mount here: ${reason}`, {
    hint: `'tarn doctor' checks all that mounting needs${other}`,
  });
}
