import { setTimeout as delay } from 'node:timers/promises';
import { isPromise } from '../../util/async.js';
import { TarnError } from '../../util/errors.js';
import type { Key } from '../../model/path.js';
import type {
  Attributes,
  DriverEvents,
  Errno,
  Filesystem,
  FilesystemTotals,
  Handle,
  Inode,
} from '../../vfs/filesystem.js';
import { isHolding, isLiving } from '../../vfs/living.js';
import { isResumable, type Resumable } from '../../vfs/resuming.js';
import { isWritable } from '../../vfs/writable.js';
import { errnoName, errnoNumber } from '../errno.js';
import type { Addon, NativeCounters, NativeSession } from './addon.js';
import { Answers, NEVER } from './answers.js';
import { joinedNames, presentation, ReplyEncoder } from './encode.js';
import { Handles } from './handles.js';
import { Holding } from './holding.js';
import type { Agreed, LedgerContents, MountLedger } from './ledger.js';
import { Listings, type Listing } from './listings.js';
import { Opens } from './opens.js';
import { Requests } from './requests.js';
import { CACHE_DIR, KEEP_CACHE, OP } from './wire.js';
import { Writing } from './writing.js';

/** Above all that a filesystem gives out: the handles that the addon gives to directories. */
const DIRECTORY_HANDLES = 2 ** 52;

/** The longest reply from the shared buffer is a symlink's target. */
const REPLY_BYTES = 8192;

/** How long a change may take to reach the kernel until nobody waits for it any more. */
const HEARD_MS_MAX = 1_000;
const HEARD_LOOK_MS = 1;

const ERANGE = errnoNumber('ERANGE');
const ENODEV = 19;
const ECONNABORTED = 103;

/** Connections that run. When the process exits, nobody could answer for their mounts. */
const running = new Set<NativeSession>();

function abandonAll(): void {
  for (const session of running) session.abandon();
}

export interface ConnectionOptions {
  readonly device: number;
  readonly threads: number;
  readonly passthrough: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly onFault: (error: unknown) => void;
  /** Where what the kernel holds is recorded, and tells what of it; absent where nobody would read it. */
  readonly record?: { readonly id: string; readonly ledger: MountLedger };
  /** Of a connection that a process before has begun. */
  readonly resumed?: Resumed;
}

export interface Resumed {
  /** What that process agreed on with the kernel. */
  readonly agreed: Agreed;
  /** None that the kernel may know is as high. */
  readonly firstHandle: Handle;
}

/**
 * Carries requests of one mount from the kernel to a Filesystem, and its answers back. Nothing here
 * throws out of a call from the addon.
 */
export class Connection {
  readonly #fs: Filesystem;
  readonly #native: NativeSession;
  readonly #onFault: (error: unknown) => void;
  readonly #requests = new Requests();
  readonly #encode: ReplyEncoder;
  readonly #answers: Answers;
  readonly #listings: Listings;
  readonly #opens: Opens;
  readonly #directories: Handles;
  readonly #keepFlags: number;
  readonly #keepsAbsent: boolean;
  /** Absent where nobody counts what the kernel holds. */
  readonly #holding: Holding | undefined;
  /** Absent where everything that writes is refused by the addon. */
  readonly #writing: Writing | undefined;
  readonly #ledger: MountLedger | undefined;
  /** Handles that were restored, by the request that opened them. */
  readonly #restored = new Map<number, { readonly handle: number; readonly isFile: boolean }>();
  /** Nodes that the kernel holds, where it was not told all that it should know of them. */
  #untold: readonly number[] | undefined;
  #letGo: Promise<void> | undefined;

  readonly #agreed = deferred<Agreed>();
  readonly #ended = deferred<void>();
  /** Rejects when the kernel and this driver have no protocol in common. */
  readonly agreed: Promise<Agreed> = this.#agreed.promise;
  /** Resolves when nothing is held any more. */
  readonly ended: Promise<void> = this.#ended.promise;

  constructor(addon: Addon, filesystem: Filesystem, options: ConnectionOptions) {
    this.#fs = filesystem;
    this.#onFault = options.onFault;
    const writable = isWritable(filesystem);
    // What is written through this mount the kernel knows, and of the rest it is told.
    const isKept = filesystem.frozen || isLiving(filesystem);
    const show = presentation(options.uid, options.gid, isKept);
    this.#keepsAbsent = isKept;
    this.#keepFlags = isKept ? KEEP_CACHE | CACHE_DIR : 0;
    this.#listings = new Listings(filesystem, show);
    const reply = new Uint8Array(new ArrayBuffer(REPLY_BYTES));
    this.#encode = new ReplyEncoder(reply, show);
    this.agreed.catch(() => undefined);
    const { record, resumed } = options;
    this.#ledger = record?.ledger;
    this.#native = new addon.Session({
      device: options.device,
      threads: options.threads,
      frozen: filesystem.frozen,
      holds: isHolding(filesystem),
      writable,
      passthrough: resumed?.agreed.passthrough ?? options.passthrough,
      ledger: record?.ledger.native,
      resumed: resumed !== undefined,
      expires: resumed?.agreed.expires ?? false,
      firstHandle: DIRECTORY_HANDLES + (resumed?.firstHandle ?? 0),
      records: this.#requests.records,
      names: this.#requests.names,
      reply,
      onBatch: (count) => this.#onBatch(count),
    });
    this.#answers = new Answers(this.#native, options.onFault);
    this.#opens = new Opens(filesystem, this.#answers);
    this.#directories = new Handles((handle) =>
      this.#answers.guard(() => filesystem.releasedir(handle)),
    );
    filesystem.connect(this.#events);
    if (!isHolding(filesystem)) return;
    const [requests, answers] = [this.#requests, this.#answers];
    this.#holding = new Holding(filesystem, requests, answers);
    if (!writable) return;
    const tools = { requests, answers, encode: this.#encode, holding: this.#holding };
    const writing = new Writing(filesystem, tools, this.#opens, this.#directories, record?.id);
    this.#writing = writing;
    filesystem.connectWriting({
      ...this.#events,
      nodeStaged: (inode, staged) => writing.nodeStaged(inode, staged),
      ...(record === undefined ? {} : { notes: record.ledger }),
    });
  }

  get #events(): DriverEvents {
    const native = this.#native;
    return {
      grant: (handle, start, end) => native.grant(handle, start, end),
      entryChanged: (parent, name) => native.entryChanged(parent, Buffer.from(name, 'latin1')),
      nodeChanged: (inode, bytes) => native.nodeChanged(inode, bytes),
      heard: () => this.#heard(),
    };
  }

  /** Before start, of a connection that another process has begun: what that left open is open. */
  async resume(filesystem: Resumable, before: LedgerContents, firstHandle: number): Promise<void> {
    if (filesystem.resume(before.held, firstHandle) || before.isUntold) {
      this.#untold = [...before.held.named.keys(), ...before.held.unnamed.keys()];
    }
    this.#writing?.agree(before.mount.agreed.killsPrivileges);
    this.#agreed.resolve(before.mount.agreed);
    for (const file of before.files) {
      const error = await this.#opens.restore(filesystem, file).catch((fault: unknown) => fault);
      if (error === undefined) {
        this.#restored.set(file.unique, { handle: file.handle, isFile: true });
        continue;
      }
      this.#native.unrestore(file.handle);
      this.#onFault(
        new TarnError('io', `an open file was lost (inode ${file.inode})`, { cause: error }),
      );
    }
    for (const { handle, inode, unique, mark } of before.directories) {
      const refused = await filesystem.reopendir(handle, inode, mark, NEVER);
      if (refused !== undefined) continue;
      this.#directories.open(handle);
      this.#restored.set(unique, { handle, isFile: false });
    }
  }

  /** Before start, of a resumed connection: what was under way goes on then. */
  resend(): void {
    this.#ledger?.allTold();
    const error = this.#native.resend();
    if (error === 0) return;
    throw new TarnError('io', `what was under way cannot be had again: ${errnoName(error)}`);
  }

  /** After start, of a resumed connection. */
  tellUntold(): void {
    if (this.#untold === undefined) return;
    for (const inode of this.#untold) this.#native.nodeChanged(inode, true);
    this.#native.everythingChanged();
  }

  setKept(kept: boolean): void {
    this.#native.setKept(kept);
  }

  /** `helper` as in NativeSession.start. */
  start(directory: string, helper: string): void {
    if (!this.#native.start(directory, helper)) {
      throw new TarnError('unavailable', 'no thread could be started to serve the mount', {
        hint: 'raise the limit on processes (ulimit -u) and mount again',
      });
    }
    if (running.size === 0) process.on('exit', abandonAll);
    running.add(this.#native);
  }

  counters(): NativeCounters {
    return this.#native.counters();
  }

  /** Ends the connection; the mount, if it still exists, answers ENOTCONN from now on. */
  close(): Promise<void> {
    this.#letGo ??= (async () => {
      // A request that is never answered could keep the addon's notices, and so its end, waiting.
      if (this.#writing !== undefined) this.#answers.endAll();
      await this.#native.stop();
      if (running.delete(this.#native) && running.size === 0) process.off('exit', abandonAll);
      this.#agreed.reject(new TarnError('io', 'the mount ended before it was ready'));
      this.#answers.endAll();
      // The kernel sends no RELEASE, and no FORGET, on a connection that was cut.
      this.#opens.closeAll();
      this.#directories.closeAll();
      this.#ended.resolve();
    })();
    return this.#letGo;
  }

  #onBatch(count: number): boolean {
    for (let i = 0; i < count; i++) {
      this.#requests.select(i);
      try {
        if (this.#requests.isResent) this.#undo();
        if (this.#holding?.take() !== true && this.#writing?.take() !== true) this.#take();
      } catch (fault) {
        this.#answers.fail(this.#requests.unique, fault);
      }
    }
    return !this.#answers.isAnyWaiting;
  }

  /** What was opened for a request that is delivered again the kernel never heard of. */
  #undo(): void {
    const { unique } = this.#requests;
    const restored = this.#restored.get(unique);
    if (restored === undefined) return;
    this.#restored.delete(unique);
    const { handle, isFile } = restored;
    if (isFile) {
      this.#native.unrestore(handle);
      this.#opens.close(handle);
    } else {
      this.#ledger?.dropDirectory(handle);
      this.#directories.close(handle);
    }
  }

  #take(): void {
    const fs = this.#fs;
    const answers = this.#answers;
    const { opcode, unique, inode, handle, size, pid } = this.#requests;
    const { signal } = answers;
    switch (opcode) {
      case OP.lookup: {
        const found = fs.lookup(inode, this.#requests.name(), signal);
        const reply = this.#isPassing(inode) ? this.#replyPassing : this.#replyEntry;
        return answers.when(unique, pid, found, reply, this.#holding?.forgetEntry);
      }
      case OP.getattr:
        return answers.when(unique, pid, fs.getattr(inode, signal), this.#replyAttributes);
      case OP.readlink:
        return answers.when(unique, pid, fs.readlink(inode, signal), this.#replyTarget);
      case OP.open:
        return this.#opens.answer(this.#requests, fs.open(inode, signal));
      case OP.read:
        return this.#opens.read(unique, pid, handle, this.#requests.offset, size);
      case OP.release:
        return this.#opens.close(handle);
      case OP.opendir:
        return handle === 0 ? this.#opendir() : this.#openedDirectory();
      case OP.readdir:
      case OP.readdirplus:
        return this.#list(opcode === OP.readdirplus);
      case OP.releasedir:
        this.#listings.drop(handle);
        return this.#directories.close(handle);
      case OP.statfs:
        return answers.when(unique, pid, fs.statfs(signal), this.#replyStatfs);
      case OP.getxattr: {
        const value = fs.getxattr(inode, this.#requests.name(), signal);
        return answers.when(unique, pid, value, (to, found) => this.#replyXattr(to, found, size));
      }
      case OP.listxattr: {
        const names = fs.listxattr(inode, signal);
        return answers.when(unique, pid, names, (to, found) =>
          this.#replyXattr(to, typeof found === 'string' ? found : joinedNames(found), size),
        );
      }
      case OP.interrupt:
        return answers.interrupts.interrupt(handle);
      case OP.init:
        return this.#onInit();
      case OP.ended:
        return this.#onEnded(size);
      default:
        throw new TarnError('internal', `request ${opcode} reached JavaScript`);
    }
  }

  #opendir(): void {
    const { unique, pid, inode } = this.#requests;
    const keepFlags = this.#isPassing(inode) ? 0 : this.#keepFlags;
    this.#answers.when(
      unique,
      pid,
      this.#fs.opendir(inode, this.#answers.signal),
      (to, opened) => this.#replyOpendir(to, inode, opened, keepFlags),
      (opened) => typeof opened !== 'string' && this.#fs.releasedir(opened.handle),
    );
  }

  /** The addon has answered, so that an error shows when the directory is listed. */
  #openedDirectory(): void {
    const fs = this.#fs;
    const { handle, inode } = this.#requests;
    if (!isResumable(fs)) throw new TarnError('internal', 'this directory is opened by its inode');
    this.#directories.open(handle);
    const opened = fs.reopendir(handle, inode, undefined, NEVER);
    if (isPromise(opened)) this.#directories.hold(handle, opened);
    this.#listings.opened(handle, opened);
  }

  #list(plus: boolean): void {
    const { unique, pid, handle, offset, size } = this.#requests;
    const listing = this.#listings.start({ handle, offset, size, plus }, this.#answers.signal);
    const { encoder, done } = listing;
    if (isPromise(done)) this.#directories.hold(handle, done);
    const keep = (): void => {
      this.#holding?.forgetAll(encoder.held);
      this.#listings.free(encoder);
    };
    this.#answers.when(
      unique,
      pid,
      done,
      (to, errno) => {
        // Part of a listing is an answer too: the kernel asks again from there.
        if (errno !== undefined && encoder.length === 0) this.#answers.refuse(to, errno);
        else if (this.#replyListing(to, listing) !== 0) return keep();
        // After what else is waiting: nobody has asked for it yet.
        if (errno === undefined && encoder.isFull) setImmediate(() => this.#listAhead(listing));
        else this.#listings.free(encoder);
      },
      keep,
    );
  }

  #replyListing(unique: number, { encoder }: Listing): number {
    return this.#answers.sent(this.#native.replyBytes(unique, encoder.bytes, encoder.length));
  }

  #listAhead(listing: Listing): void {
    const { handle } = listing.request;
    try {
      if (!this.#directories.has(handle)) return;
      const next = this.#listings.startNext(listing, NEVER);
      // A fault shows when the kernel asks for it.
      if (isPromise(next?.done)) {
        this.#directories.hold(handle, next.done);
        next.done.catch(() => undefined);
      }
    } catch {
      // The same: what is not there ahead is listed when it is asked for.
    } finally {
      this.#listings.free(listing.encoder);
    }
  }

  readonly #replyEntry = (unique: number, found: Attributes | Errno): void => {
    if (found === 'ENOENT' && this.#keepsAbsent) {
      this.#answers.send(unique, 0, this.#encode.absent());
    } else if (typeof found === 'string') {
      this.#answers.refuse(unique, found);
    } else if (this.#answers.send(unique, 0, this.#encode.entry(found)) !== 0) {
      this.#holding?.forgetEntry(found);
    }
  };

  readonly #replyPassing = (unique: number, found: Attributes | Errno): void => {
    if (typeof found === 'string') this.#answers.refuse(unique, found);
    else if (this.#answers.send(unique, 0, this.#encode.passingEntry(found)) !== 0) {
      this.#holding?.forgetEntry(found);
    }
  };

  readonly #replyAttributes = (unique: number, found: Attributes | Errno): void => {
    if (typeof found === 'string') this.#answers.refuse(unique, found);
    else this.#answers.send(unique, 0, this.#encode.attributes(found));
  };

  readonly #replyTarget = (unique: number, found: { target: Key } | Errno): void => {
    if (typeof found === 'string') this.#answers.refuse(unique, found);
    else this.#answers.send(unique, 0, this.#encode.text(found.target));
  };

  readonly #replyStatfs = (unique: number, totals: FilesystemTotals): void => {
    this.#answers.send(unique, 0, this.#encode.statfs(totals));
  };

  #replyOpendir(
    unique: number,
    inode: Inode,
    opened: { handle: number } | Errno,
    keepFlags: number,
  ): void {
    if (typeof opened === 'string') return this.#answers.refuse(unique, opened);
    const { handle } = opened;
    this.#directories.open(handle);
    this.#ledger?.putDirectory({ handle, inode, unique });
    const error = this.#answers.send(unique, 0, this.#encode.opened(handle, keepFlags));
    if (error === 0) {
      if (keepFlags !== 0 && isResumable(this.#fs)) this.#native.listed(inode);
      return;
    }
    this.#ledger?.dropDirectory(handle);
    this.#directories.close(handle);
  }

  /** The kernel may wait for answers of ours before it listens, so nothing waits for this at length. */
  async #heard(): Promise<void> {
    const untilMs = performance.now() + HEARD_MS_MAX;
    while (this.#native.counters().unheard > 0 && performance.now() < untilMs) {
      await delay(HEARD_LOOK_MS);
    }
  }

  #isPassing(directory: Inode): boolean {
    return this.#fs.isPassing?.(directory) === true;
  }

  #replyXattr(unique: number, value: Uint8Array | Errno, room: number): void {
    if (typeof value === 'string') this.#answers.refuse(unique, value);
    else if (room === 0) this.#answers.send(unique, 0, this.#encode.xattrSize(value.length));
    else if (value.length > room) this.#answers.send(unique, ERANGE, 0);
    else this.#answers.sent(this.#native.replyBytes(unique, value, value.length));
  }

  #onInit(): void {
    const { pid: minor, handle, handle2, offset: readBytesMax, size: error } = this.#requests;
    const { node2, length } = this.#requests;
    const killsPrivileges = handle2 === 1;
    this.#writing?.agree(killsPrivileges);
    const passthrough = handle === 1;
    if (error === 0) {
      const can = { expires: node2 === 1, resends: length === 1 };
      return this.#agreed.resolve({ minor, passthrough, readBytesMax, killsPrivileges, ...can });
    }
    this.#agreed.reject(
      new TarnError('unsupported', `this kernel's FUSE protocol 7.${minor} is not understood`, {
        hint: 'the native driver needs protocol 7.23, which Linux has since 3.15',
      }),
    );
  }

  #onEnded(error: number): void {
    if (error !== ENODEV && error !== 0 && error !== ECONNABORTED) {
      this.#onFault(new TarnError('io', `reading /dev/fuse failed: ${errnoName(error)}`));
    }
    this.close().catch(this.#onFault);
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  // The executor above has run by now.
  return { promise, ...(settle as Omit<Deferred<T>, 'promise'>) };
}
