import { createRequire } from 'node:module';
import { TarnError } from '../../util/errors.js';
import { installed } from '../../util/installation.js';

/** What native/addon.cc exports. Errno numbers are positive, zero is success. */
export interface Addon {
  /** INTERFACE, unless it was built from other sources than these. */
  readonly interface: number;
  /** A descriptor of /dev/fuse, or a negative errno. */
  openDevice(): number;
  mountDirect(
    device: number,
    source: string,
    directory: string,
    options: string,
    writable: boolean,
  ): Promise<number>;
  /** `detach` also ends what is under way. */
  unmountDirect(directory: string, detach: boolean): Promise<number>;
  /** Two connected sockets, close-on-exec; or an errno. */
  socketPair(): [number, number] | number;
  /** The descriptor that was sent on `socket`, or a negative errno; does not wait. */
  receiveDescriptor(socket: number): number;
  closeDescriptor(descriptor: number): void;
  /** CAP_SYS_ADMIN: may mount by itself and use passthrough. */
  hasAdminCapability(): boolean;
  /** fallocate(2); zero or a negative errno. */
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  /** Where the next data, or hole, begins; or a negative errno. */
  seekFile(fd: number, offset: number, data: boolean): number;
  /** Bytes copied or a negative errno. */
  copyFileRange(
    from: number,
    fromOffset: number,
    to: number,
    toOffset: number,
    length: number,
  ): number;
  /** Zero or a negative errno; undefined seconds leave a time as it is, null is now. */
  setTimes(
    fd: number,
    atimeSec: number | null | undefined,
    atimeNsec: number,
    mtimeSec: number | null | undefined,
    mtimeNsec: number,
  ): number;
  /** Whether another open file, or a map of one, can write the file; `fd` must be open for that, too. */
  readonly isWrittenElsewhere: (fd: number) => boolean;
  /** Calls `work` with the lock that reader threads hold while they write by this page map. */
  alone(mapFd: number, work: () => void): void;
  /** Two connected sockets for packets, close-on-exec; or an errno. */
  packetPair(): [number, number] | number;
  /** A socket, or a negative errno. */
  connectPackets(path: string): number;
  /** Zero or an errno. */
  sendPacket(socket: number, text: string, descriptors: readonly number[]): number;
  /** Waits; an errno when none came. */
  receivePacket(
    socket: number,
  ): { readonly text: string; readonly descriptors: readonly number[] } | number;
  /** Takes over the descriptor of a ledger; -1 makes a new one. Throws where that is none. */
  readonly Ledger: new (descriptor: number) => NativeLedger;
  readonly Session: new (options: SessionOptions) => NativeSession;
}

/** Records by kind and number, in memory shared with whoever holds its descriptor (native/ledger.h). */
export interface NativeLedger {
  /** It stays the ledger's. */
  descriptor(): number;
  /** The first `length` bytes. */
  put(kind: number, number: number, bytes: Uint8Array, length: number): void;
  drop(kind: number, number: number): void;
  /**
   * What is there, in the order in which it was put: bytes and kind (32 bits), number (64), payload;
   * undefined when something could not be recorded.
   */
  records(): Buffer | undefined;
}

export interface SessionOptions {
  /** Taken over, also when the constructor throws nothing and nothing is ever started. */
  readonly device: number;
  readonly threads: number;
  /** What is shown never changes. */
  readonly frozen: boolean;
  /** What the kernel forgets is passed on. */
  readonly holds: boolean;
  readonly writable: boolean;
  readonly passthrough: boolean;
  /** Where what is open is recorded. */
  readonly ledger: NativeLedger | undefined;
  /** Another process has begun the connection, and agreed on `passthrough` and `expires`. */
  readonly resumed: boolean;
  readonly expires: boolean;
  /** The first of the handles that the addon itself gives to directories. */
  readonly firstHandle: number;
  /** Where a batch of requests is put, RECORD.numbers for each. */
  readonly records: Float64Array;
  /** Where their names are put, RECORD.nameBytes for each. */
  readonly names: Uint8Array;
  /** Where replies are taken from. */
  readonly reply: Uint8Array;
  /**
   * Requests, `count` or none, are in `records` and `names` until it returns. Must not throw. True
   * when no request waits for the event loop: then the thread may linger for the next one.
   */
  readonly onBatch: (count: number) => boolean;
}

/** One connection to the kernel; calls after `stop` do nothing. */
export interface NativeSession {
  /**
   * Starts the reader threads. `directory` and `helper` are for `abandon`, which is also what the
   * end of a worker does. False when no thread could be started.
   */
  start(directory: string, helper: string): boolean;
  /**
   * Of a resumed session, before start: a file that the kernel has open, by the passthrough of
   * `backingId` if that is not 0. The rest as replyOpen. Zero or an errno.
   */
  restore(
    backingId: number,
    entryBytes: 0,
    handle: number,
    inode: number,
    fd: number,
    offset: number,
    length: number,
    exact: boolean,
    verified: boolean,
    stagedFd: number,
    mapFd: number,
  ): number;
  /** What was restored was never open. */
  unrestore(handle: number): void;
  /** Of a resumed session, before start: the kernel delivers again what was read and not answered. */
  resend(): number;
  /** Another process goes on with the mount: its end by `abandon` leaves all as it is. */
  setKept(kept: boolean): void;
  /** Ends the connection: what is unanswered or still open gets ENOTCONN. To be called once. */
  stop(): Promise<number>;
  /** Sends an errno, or the first `length` bytes of the reply buffer. Returns 0 or an errno. */
  reply(unique: number, errno: number, length: number): number;
  /** Ends the connection at once and detaches the mount: by `helper` if one is named. */
  abandon(): void;
  replyBytes(unique: number, bytes: Uint8Array, length: number): number;
  /**
   * Answers OPEN or, with the first `entryBytes` of the reply buffer before it, CREATE. Remembers
   * the descriptors, which stay the caller's: of the backing, the staged file and its page map; -1
   * for none. `isAsked`: it does not pass through. `flags` of the system call are recorded.
   */
  replyOpen(
    unique: number,
    entryBytes: number,
    handle: number,
    inode: number,
    fd: number,
    offset: number,
    length: number,
    exact: boolean,
    verified: boolean,
    stagedFd: number,
    mapFd: number,
    direct: boolean,
    isCachedRight: boolean,
    isAsked: boolean,
    flags: number,
  ): number;
  /** Gives a WRITE the page it asked for (OP.need), which then goes on. As reply. */
  fill(unique: number, bytes: Uint8Array, length: number): number;
  /** What a request of the batch carries besides its name; only during `onBatch`. */
  payload(index: number): Buffer;
  /**
   * Reads through handles that are open show the staged file from now on: the first that there is, or a
   * partial one in place of a whole one. Zero or an errno.
   */
  setStaged(inode: number, stagedFd: number, mapFd: number): number;
  /** Tells the kernel, soon, to look the name up again. */
  entryChanged(parent: number, name: Uint8Array): void;
  /** Tells the kernel, soon, to ask for attributes, and with `bytes` for contents, again. */
  nodeChanged(inode: number, bytes: boolean): void;
  /** Tells the kernel, soon, to look every name up again. */
  everythingChanged(): void;
  grant(handle: number, start: number, end: number): void;
  /**
   * From now on OPENDIR of this inode may be answered by the addon, as it was just now: keeping what
   * the kernel has cached. Such a request comes with its handle, and needs no answer.
   */
  listed(inode: number): void;
  counters(): NativeCounters;
}

export interface NativeCounters {
  /** READs answered without JavaScript. */
  readonly nativeReads: number;
  readonly nativeWrites: number;
  readonly passthroughOpens: number;
  /** OPENDIRs answered without JavaScript. */
  readonly nativeOpendirs: number;
  /** Requests that did not decode. */
  readonly malformed: number;
  /** Changes that the kernel was not told of yet. */
  readonly unheard: number;
}

/** Where a request's numbers lie in its record; `session_object.cc` writes them in this order. */
export const RECORD = {
  opcode: 0,
  unique: 1,
  nodeid: 2,
  /** Of INTERRUPT the request it is about; of OPENDIR not 0 if it was answered; of INIT 1 if passthrough was agreed on. */
  handle: 3,
  /** Of INIT the bytes in the largest READ. */
  offset: 4,
  /** Of INIT and of the end an errno. */
  size: 5,
  /** Of INIT the kernel's minor protocol version. */
  pid: 6,
  nameStart: 7,
  nameEnd: 8,
  payloadBytes: 9,
  /** Who asks; of SETATTR the owner that is set. */
  uid: 10,
  gid: 11,
  mode: 12,
  flags: 13,
  openFlags: 14,
  /** Of INIT 1 if names can expire. */
  node2: 15,
  /** Of INIT 1 if the driver takes setuid bits away. */
  handle2: 16,
  offset2: 17,
  /** Of INIT 1 if the kernel can deliver requests again. */
  length: 18,
  atimeSec: 19,
  atimeNsec: 20,
  mtimeSec: 21,
  mtimeNsec: 22,
  /** 1 when it was delivered before. */
  isResent: 23,
  numbers: 24,
  nameBytes: 256,
} as const;

const BUILT = installed('native/build/Release/tarn_fuse.node');

/** Counted whenever what the addon exports changes; kInterface in native/addon.cc. */
const INTERFACE = 6;

let loaded: Addon | undefined;

/** The addon if it was built. */
export function findAddon(): Addon | undefined {
  try {
    return loadAddon();
  } catch {
    return undefined;
  }
}

/** @throws TarnError unsupported when the addon was not built */
export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded;
  const found = required();
  if (found.interface !== INTERFACE) {
    throw new TarnError(
      'unsupported',
      `the native driver was built from another version (${BUILT})`,
      {
        hint: "build it again: 'npm run build:native'",
      },
    );
  }
  loaded = found;
  return found;
}

function required(): Addon {
  try {
    return createRequire(import.meta.url)(BUILT) as Addon;
  } catch (error) {
    throw new TarnError('unsupported', `the native driver is not built (${BUILT})`, {
      cause: error,
      hint: "install a C++ compiler ('apt-get install g++ make python3') and run 'npm run build:native'",
    });
  }
}
