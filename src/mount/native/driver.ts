import { randomBytes } from 'node:crypto';
import { access, constants, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { Filesystem } from '../../vfs/filesystem.js';
import { isResumable } from '../../vfs/resuming.js';
import { isWritable } from '../../vfs/writable.js';
import type { Driver, Mounted, MountOptions } from '../driver.js';
import { errnoName } from '../errno.js';
import { checkMountPoint } from '../mount-point.js';
import { listMounts } from '../mounts.js';
import { loadAddon, type Addon } from './addon.js';
import { Connection, type Resumed } from './connection.js';
import type { KeptMount } from './keeper.js';
import { MountLedger, type Agreed } from './ledger.js';
import { hasHelper, HELPER, HELPER_HINT, mountByHelper, unmountByHelper } from './fusermount.js';

const DEVICE = '/dev/fuse';
const DEVICE_HINT =
  "load it with 'modprobe fuse' as root; in a container start it with --device /dev/fuse";

/**
 * Window of the kernel's sequential read-ahead, in KiB. Its default of 128 would make eight requests
 * of each 1 MiB; a few requests at a time keep all reader threads busy.
 */
const READ_AHEAD_KIB = 4096;
/**
 * The same for what is fetched from elsewhere, which the filesystem does ahead of readers. As much as this
 * behind a read of any length, and three times as much behind a long one, would be fetched in vain.
 */
const FAR_READ_AHEAD_KIB = 128;
/**
 * How much of the memory that may wait to be written belongs to a mount that is written, in percent: at
 * most, and at least, which is what a mount begins with. With the kernel's 1 and 0 a program that writes
 * mapped pages waits for the daemon from the start.
 */
const DIRTY_PERCENT = { max_ratio: 25, min_ratio: 10 };
const THREADS_MAX = 4;
const ID_BYTES = 8;
/** More than one process ever gives out. */
const HANDLES_A_PROCESS = 2 ** 36;

/** Speaks the kernel's protocol on /dev/fuse through the addon in native/. */
export class NativeDriver implements Driver {
  readonly name = 'native';

  async unavailable(): Promise<string | undefined> {
    if (process.platform !== 'linux') return 'the native driver works on Linux only';
    try {
      const addon = loadAddon();
      await access(DEVICE).catch(() => {
        throw new TarnError('unsupported', `${DEVICE} does not exist`, { hint: DEVICE_HINT });
      });
      if (addon.hasAdminCapability()) return undefined;
      if (!hasHelper()) return `mounting needs root or the program ${HELPER}: ${HELPER_HINT}`;
      await access(DEVICE, constants.R_OK | constants.W_OK).catch(() => {
        const hint = `let root run 'chmod 666 ${DEVICE}'`;
        throw new TarnError('denied', `${DEVICE} may not be opened by this user`, { hint });
      });
      return undefined;
    } catch (error) {
      const { message, hint } = asTarnError(error);
      return hint === undefined ? message : `${message}: ${hint}`;
    }
  }

  async mount(filesystem: Filesystem, given: string, options: MountOptions): Promise<Mounted> {
    const addon = loadAddon();
    const directory = await checkMountPoint(given);
    const asRoot = addon.hasAdminCapability();
    const open = asRoot ? mountAsRoot : mountAsUser;
    const made = await open(addon, filesystem, directory, options);
    const limits = limitsOf(filesystem, options);
    const mounted = new NativeMount(addon, made.connection, directory, asRoot, limits);
    try {
      await mounted.ready();
      await mounted.keep(made, options);
    } catch (error) {
      await mounted.unmount({ force: true }).catch(options.onFault);
      throw error;
    }
    return mounted;
  }

  /**
   * Goes on with a mount that another process has made. Where that fails its keeper still holds it.
   * @throws TarnError unsupported, io, and what the filesystem throws
   */
  async resume(filesystem: Filesystem, kept: KeptMount, options: MountOptions): Promise<Mounted> {
    if (!isResumable(filesystem)) throw new TarnError('unsupported', 'such a mount cannot go on');
    const addon = loadAddon();
    const { id, device, ledger, contents } = kept;
    const { directory, helper, agreed, generation } = contents.mount;
    const next = generation + 1;
    const resumed = { agreed, firstHandle: next * HANDLES_A_PROCESS };
    const connection = connect(addon, filesystem, { device, id, ledger }, options, resumed);
    const limits = limitsOf(filesystem, options);
    const mounted = new NativeMount(addon, connection, directory, helper === '', limits);
    try {
      ledger.putMount({ ...contents.mount, generation: next });
      await connection.resume(filesystem, contents, resumed.firstHandle);
      // While nothing is read: the kernel delivers again all that has been, and what this process is doing
      // already would be done twice.
      connection.resend();
      connection.start(directory, helper);
      connection.tellUntold();
      await mounted.ready();
      await mounted.keep({ connection, device, id, ledger }, options, true);
      return mounted;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }
}

/** A connection, and what outlives it. */
interface Made extends Recorded {
  readonly connection: Connection;
}

interface Recorded {
  readonly device: number;
  /** Of the mount. */
  readonly id: string;
  readonly ledger: MountLedger | undefined;
}

/** Records what the kernel holds where somebody may go on with it. */
function recorded(
  addon: Addon,
  filesystem: Filesystem,
  device: number,
  options: MountOptions,
): Recorded {
  const isKept = options.keeping !== undefined && isResumable(filesystem);
  const id = randomBytes(ID_BYTES).toString('hex');
  return { device, id, ledger: isKept ? new MountLedger(addon) : undefined };
}

function connect(
  addon: Addon,
  filesystem: Filesystem,
  { device, id, ledger }: Recorded,
  options: MountOptions,
  resumed?: Resumed,
): Connection {
  return new Connection(addon, filesystem, {
    device,
    threads: Math.min(THREADS_MAX, Math.max(2, availableParallelism())),
    passthrough: options.noPassthrough !== true && addon.hasAdminCapability(),
    uid: options.uid,
    gid: options.gid,
    onFault: options.onFault,
    ...(ledger === undefined ? {} : { record: { id, ledger } }),
    ...(resumed === undefined ? {} : { resumed }),
  });
}

async function mountAsRoot(
  addon: Addon,
  filesystem: Filesystem,
  directory: string,
  options: MountOptions,
): Promise<Made> {
  const device = addon.openDevice();
  if (device < 0) {
    throw new TarnError('unsupported', `${DEVICE} cannot be opened: ${errnoName(-device)}`, {
      hint: DEVICE_HINT,
    });
  }
  const record = recorded(addon, filesystem, device, options);
  const connection = connect(addon, filesystem, record, options);
  // The mode bits decide who may read what, as on a disk: root's mounts are everybody's.
  const data = 'rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other';
  const source = escapeSource(filesystem.sourceName);
  const writable = isWritable(filesystem);
  const error = await addon.mountDirect(device, source, directory, data, writable);
  if (error !== 0) {
    await connection.close();
    throw new TarnError('denied', `mounting on ${directory} failed: ${errnoName(error)}`, {
      hint: 'mounting needs CAP_SYS_ADMIN; in a container start it with --cap-add SYS_ADMIN',
    });
  }
  const detach = (): Promise<unknown> => addon.unmountDirect(directory, true);
  await started(connection, directory, '', detach, options);
  return { ...record, connection };
}

async function mountAsUser(
  addon: Addon,
  filesystem: Filesystem,
  directory: string,
  options: MountOptions,
): Promise<Made> {
  const wanted = [
    isWritable(filesystem) ? 'rw' : 'ro',
    'nosuid',
    'nodev',
    'default_permissions',
    'subtype=tarn',
    `fsname=${escapeSource(filesystem.sourceName)}`,
    ...(options.allowOther ? ['allow_other'] : []),
  ];
  const device = await mountByHelper(addon, directory, wanted.join(','));
  const record = recorded(addon, filesystem, device, options);
  const connection = connect(addon, filesystem, record, options);
  const detach = (): Promise<void> => unmountByHelper(directory, { detach: true });
  await started(connection, directory, HELPER, detach, options);
  return { ...record, connection };
}

/** Serves the mount that has been made; takes it away again where that cannot begin. */
async function started(
  connection: Connection,
  directory: string,
  helper: string,
  detach: () => Promise<unknown>,
  { onFault }: MountOptions,
): Promise<void> {
  try {
    connection.start(directory, helper);
  } catch (error) {
    await detach().catch(onFault);
    await connection.close();
    throw error;
  }
}

/** Everything but what a URL may hold plainly as %XX, so that no mount table has to escape it. */
function escapeSource(name: string): string {
  return name.replace(/[^A-Za-z0-9._~:/@+=-]/gu, (char) => encodeURIComponent(char));
}

/** Files of /sys/class/bdi, and what is written into them. */
type BdiLimits = Readonly<Record<string, number>>;

function limitsOf(filesystem: Filesystem, { isFar }: MountOptions): BdiLimits {
  const read_ahead_kb = isFar === true ? FAR_READ_AHEAD_KIB : READ_AHEAD_KIB;
  return { read_ahead_kb, ...(isWritable(filesystem) ? DIRTY_PERCENT : {}) };
}

class NativeMount implements Mounted {
  readonly directory: string;
  readonly ended: Promise<void>;
  readonly #addon: Addon;
  readonly #connection: Connection;
  readonly #asRoot: boolean;
  readonly #limits: BdiLimits;
  #agreed: Agreed | undefined;
  #isKept = false;

  constructor(
    addon: Addon,
    connection: Connection,
    directory: string,
    asRoot: boolean,
    limits: BdiLimits,
  ) {
    this.directory = directory;
    this.ended = connection.ended;
    this.#addon = addon;
    this.#connection = connection;
    this.#asRoot = asRoot;
    this.#limits = limits;
  }

  get features(): Readonly<Record<string, string | number | boolean>> {
    const { nativeReads, nativeWrites, passthroughOpens, nativeOpendirs } =
      this.#connection.counters();
    return {
      protocol: `7.${this.#agreed?.minor ?? 0}`,
      passthrough: this.#agreed?.passthrough ?? false,
      readBytesMax: this.#agreed?.readBytesMax ?? 0,
      mountedBy: this.#asRoot ? 'root' : HELPER,
      outlivesDaemon: this.#isKept,
      nativeReads,
      nativeWrites,
      nativeOpendirs,
      passthroughOpens,
    };
  }

  async ready(): Promise<void> {
    this.#agreed = await this.#connection.agreed;
    if (this.#asRoot) await this.#setLimits();
  }

  /** @param isResumed the keeper holds it already */
  async keep(
    { connection, device, id, ledger }: Made,
    { keeping, onFault }: MountOptions,
    isResumed = false,
  ): Promise<void> {
    const here = (await listMounts()).findLast(({ directory }) => directory === this.directory);
    if (keeping === undefined || ledger === undefined || this.#agreed?.resends !== true) return;
    const { keeper, text } = keeping;
    const { directory } = this;
    if (!isResumed) {
      const helper = this.#asRoot ? '' : HELPER;
      ledger.putMount({ directory, helper, agreed: this.#agreed, text, generation: 0 });
    }
    const number = here?.device.split(':')[1] ?? '';
    const abortFile = `/sys/fs/fuse/connections/${number}/abort`;
    const holding = { id, device, ledger: ledger.native.descriptor(), abortFile, directory };
    this.#isKept = isResumed ? keeper.served(holding) : keeper.hold(holding);
    connection.setKept(this.#isKept);
    this.ended.then(() => keeper.drop(id)).catch(onFault);
  }

  async unmount(options: { readonly force?: boolean } = {}): Promise<void> {
    const force = options.force === true;
    if (this.#asRoot) await this.#unmountAsRoot(force);
    else await this.#unmountAsUser(force);
    await this.#connection.close();
  }

  async #unmountAsRoot(force: boolean): Promise<void> {
    const error = await this.#addon.unmountDirect(this.directory, force);
    if (error === 0) return;
    const name = errnoName(error);
    if (name === 'EBUSY') throw busy(this.directory);
    // Not a mount point any more: someone else has unmounted it.
    if (name === 'EINVAL' || name === 'ENOENT') return;
    throw new TarnError('io', `${this.directory} was not unmounted: ${name}`);
  }

  async #unmountAsUser(force: boolean): Promise<void> {
    const mounts = await listMounts();
    if (!mounts.some((mount) => mount.directory === this.directory)) return;
    await unmountByHelper(this.directory, { detach: force });
  }

  /** A nicety: everything works without it. */
  async #setLimits(): Promise<void> {
    const here = (await listMounts()).findLast((mount) => mount.directory === this.directory);
    if (here === undefined) return;
    for (const [name, value] of Object.entries(this.#limits)) {
      const file = `/sys/class/bdi/${here.device}/${name}`;
      await writeFile(file, String(value)).catch(() => undefined);
    }
  }
}

function busy(directory: string): TarnError {
  return new TarnError(
    'busy',
    `${directory} is in use: a program has a file or folder open there`,
    {
      hint: `close it ('fuser -vm ${directory}' names it), or unmount with --force`,
    },
  );
}
