import { isPromise, type MaybePromise } from '../../util/async.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { Key } from '../../model/path.js';
import type {
  Attributes,
  Errno,
  Filesystem,
  FilesystemTotals,
  Handle,
  OpenedFile,
} from '../../vfs/filesystem.js';
import { errnoName, errnoNumber, errnoOf } from '../errno.js';
import { RECORD, type Addon, type NativeCounters, type NativeSession } from './addon.js';
import { presentation, ReplyEncoder, type Presentation } from './encode.js';
import { Handles } from './handles.js';
import { Interrupts } from './interrupts.js';
import { Listings, type Listing, type ListingRequest } from './listings.js';
import { CACHE_DIR, KEEP_CACHE, OP } from './wire.js';

/** Requests taken from the reader threads in one call. */
const BATCH_MAX = 128;
/** The longest reply from the shared buffer is a symlink's target. */
const REPLY_BYTES = 8192;

const EINTR = errnoNumber('EINTR');
const ERANGE = errnoNumber('ERANGE');
const ENOENT = errnoNumber('ENOENT');
const ENODEV = 19;
const ECONNABORTED = 103;
const EBADF = errnoNumber('EBADF');
/** Of work that nobody waits for. */
const NEVER = new AbortController().signal;

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
}

/** What the kernel agreed to. */
export interface Agreed {
  /** Minor version of the kernel's protocol 7. */
  readonly minor: number;
  readonly passthrough: boolean;
  /** Bytes in the largest READ. */
  readonly readBytesMax: number;
}

/**
 * Carries requests of one mount from the kernel to a Filesystem, and its answers back. Nothing here
 * throws out of a call from the addon.
 */
export class Connection {
  readonly #fs: Filesystem;
  readonly #native: NativeSession;
  readonly #onFault: (error: unknown) => void;
  readonly #records = new Float64Array(BATCH_MAX * RECORD.numbers);
  readonly #names = Buffer.from(new ArrayBuffer(BATCH_MAX * RECORD.nameBytes));
  readonly #encode: ReplyEncoder;
  readonly #show: Presentation;
  readonly #listings: Listings;
  readonly #interrupts = new Interrupts();
  readonly #files: Handles;
  readonly #directories: Handles;
  readonly #keepFlags: number;
  #spare = new AbortController();
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
    this.#show = presentation(options.uid, options.gid, filesystem.frozen);
    this.#keepFlags = filesystem.frozen ? KEEP_CACHE | CACHE_DIR : 0;
    this.#listings = new Listings(filesystem, this.#show);
    const reply = new Uint8Array(new ArrayBuffer(REPLY_BYTES));
    this.#encode = new ReplyEncoder(reply, this.#show);
    this.#files = new Handles((handle) => this.#guard(() => filesystem.release(handle)));
    this.#directories = new Handles((handle) => this.#guard(() => filesystem.releasedir(handle)));
    this.agreed.catch(() => undefined);
    this.#native = new addon.Session({
      device: options.device,
      threads: options.threads,
      frozen: filesystem.frozen,
      passthrough: options.passthrough,
      records: this.#records,
      names: this.#names,
      reply,
      onBatch: (count) => this.#onBatch(count),
    });
    filesystem.connect({
      grant: (handle, start, end) => this.#native.grant(handle, start, end),
    });
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
      await this.#native.stop();
      if (running.delete(this.#native) && running.size === 0) process.off('exit', abandonAll);
      this.#agreed.reject(new TarnError('io', 'the mount ended before it was ready'));
      this.#interrupts.endAll();
      // The kernel sends no RELEASE on a connection that was cut.
      this.#files.closeAll();
      this.#directories.closeAll();
      this.#ended.resolve();
    })();
    return this.#letGo;
  }

  #onBatch(count: number): boolean {
    for (let i = 0; i < count; i++) {
      const at = i * RECORD.numbers;
      try {
        this.#take(at);
      } catch (fault) {
        this.#fail(this.#number(at + RECORD.unique), fault);
      }
    }
    return !this.#interrupts.isAnyWaiting;
  }

  #number(at: number): number {
    return this.#records[at] ?? 0;
  }

  #take(at: number): void {
    const fs = this.#fs;
    const opcode = this.#number(at + RECORD.opcode);
    const unique = this.#number(at + RECORD.unique);
    const inode = this.#number(at + RECORD.nodeid);
    const handle = this.#number(at + RECORD.handle);
    const size = this.#number(at + RECORD.size);
    const pid = this.#number(at + RECORD.pid);
    const { signal } = this.#spare;
    switch (opcode) {
      case OP.lookup:
        return this.#when(unique, pid, fs.lookup(inode, this.#name(at), signal), this.#replyEntry);
      case OP.getattr:
        return this.#when(unique, pid, fs.getattr(inode, signal), this.#replyAttributes);
      case OP.readlink:
        return this.#when(unique, pid, fs.readlink(inode, signal), this.#replyTarget);
      case OP.open:
        return this.#when(
          unique,
          pid,
          fs.open(inode, signal),
          (to, opened) => this.#replyOpen(to, inode, opened),
          (opened) => typeof opened !== 'string' && this.#guard(() => fs.release(opened.handle)),
        );
      case OP.read:
        return this.#read(unique, pid, handle, this.#number(at + RECORD.offset), size);
      case OP.release:
        return this.#files.close(handle);
      case OP.opendir:
        return this.#when(
          unique,
          pid,
          fs.opendir(inode, signal),
          this.#replyOpendir,
          (opened) => typeof opened !== 'string' && this.#guard(() => fs.releasedir(opened.handle)),
        );
      case OP.readdir:
      case OP.readdirplus: {
        const offset = this.#number(at + RECORD.offset);
        const plus = opcode === OP.readdirplus;
        return this.#list(unique, pid, { handle, offset, size, plus });
      }
      case OP.releasedir:
        this.#listings.drop(handle);
        return this.#directories.close(handle);
      case OP.statfs:
        return this.#when(unique, pid, fs.statfs(signal), this.#replyStatfs);
      case OP.getxattr: {
        const value = fs.getxattr(inode, this.#name(at), signal);
        return this.#when(unique, pid, value, (to, found) => this.#replyXattr(to, found, size));
      }
      case OP.listxattr: {
        const names = fs.listxattr(inode, signal);
        return this.#when(unique, pid, names, (to, found) =>
          this.#replyXattr(to, typeof found === 'string' ? found : joined(found), size),
        );
      }
      case OP.interrupt:
        return this.#interrupts.interrupt(handle);
      case OP.init:
        return this.#onInit(pid, handle === 1, this.#number(at + RECORD.offset), size);
      case OP.ended:
        return this.#onEnded(size);
      default:
        throw new TarnError('internal', `request ${opcode} reached JavaScript`);
    }
  }

  #name(at: number): Key {
    const start = this.#number(at + RECORD.nameStart);
    return this.#names.toString('latin1', start, this.#number(at + RECORD.nameEnd)) as Key;
  }

  /**
   * Answers with `reply` now or when the promise settles. If the caller dies meanwhile the signal
   * is aborted, EINTR answered, and what comes later goes to `discard`.
   */
  #when<T>(
    unique: number,
    pid: number,
    result: MaybePromise<T>,
    reply: (unique: number, value: T) => void,
    discard?: (value: T) => void,
  ): void {
    if (!isPromise(result)) return reply(unique, result);
    // The signal is now this request's own. Until here it was nobody's, so that calls that are
    // answered at once share one.
    const controller = this.#spare;
    this.#spare = new AbortController();
    this.#interrupts.add(unique, pid, () => {
      controller.abort();
      this.#send(unique, EINTR, 0);
    });
    result.then(
      (value) => {
        if (!this.#interrupts.settled(unique)) return discard?.(value);
        try {
          reply(unique, value);
        } catch (fault) {
          this.#fail(unique, fault);
        }
      },
      (fault: unknown) => {
        if (this.#interrupts.settled(unique)) this.#fail(unique, fault);
      },
    );
  }

  #read(unique: number, pid: number, handle: Handle, offset: number, size: number): void {
    const bytes = this.#fs.read(handle, offset, size, this.#spare.signal);
    if (isPromise(bytes)) this.#files.hold(handle, bytes);
    this.#when(unique, pid, bytes, (to, read) => {
      if (typeof read === 'string') this.#send(to, errnoNumber(read), 0);
      else this.#sent(this.#native.replyBytes(to, read, Math.min(read.length, size)));
    });
  }

  #list(unique: number, pid: number, request: ListingRequest): void {
    const listing = this.#listings.start(request, this.#spare.signal);
    const { encoder, done } = listing;
    if (isPromise(done)) this.#directories.hold(request.handle, done);
    const keep = (): void => this.#listings.free(encoder);
    this.#when(
      unique,
      pid,
      done,
      (to, errno) => {
        // Part of a listing is an answer too: the kernel asks again from there.
        if (errno !== undefined && encoder.length === 0) this.#send(to, errnoNumber(errno), 0);
        else this.#sent(this.#native.replyBytes(to, encoder.bytes, encoder.length));
        // After what else is waiting: nobody has asked for it yet.
        if (errno === undefined && encoder.isFull) setImmediate(() => this.#listAhead(listing));
        else keep();
      },
      keep,
    );
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
    if (found === 'ENOENT' && this.#fs.frozen) this.#send(unique, 0, this.#encode.absent());
    else if (typeof found === 'string') this.#send(unique, errnoNumber(found), 0);
    else this.#send(unique, 0, this.#encode.entry(found));
  };

  readonly #replyAttributes = (unique: number, found: Attributes | Errno): void => {
    if (typeof found === 'string') this.#send(unique, errnoNumber(found), 0);
    else this.#send(unique, 0, this.#encode.attributes(found));
  };

  readonly #replyTarget = (unique: number, found: { target: Key } | Errno): void => {
    if (typeof found === 'string') this.#send(unique, errnoNumber(found), 0);
    else this.#send(unique, 0, this.#encode.text(found.target));
  };

  readonly #replyStatfs = (unique: number, totals: FilesystemTotals): void => {
    this.#send(unique, 0, this.#encode.statfs(totals));
  };

  readonly #replyOpendir = (unique: number, opened: { handle: Handle } | Errno): void => {
    if (typeof opened === 'string') {
      this.#send(unique, errnoNumber(opened), 0);
      return;
    }
    const { handle } = opened;
    this.#directories.open(handle);
    const error = this.#send(unique, 0, this.#encode.opened(handle, this.#keepFlags));
    if (error !== 0) this.#directories.close(handle);
  };

  #replyOpen(unique: number, inode: number, opened: OpenedFile | Errno): void {
    if (typeof opened === 'string') {
      this.#send(unique, errnoNumber(opened), 0);
      return;
    }
    const { handle, backing } = opened;
    this.#files.open(handle);
    const error = this.#native.replyOpen(
      unique,
      handle,
      inode,
      backing?.fd ?? -1,
      backing?.offset ?? 0,
      backing?.length ?? 0,
      backing?.exact ?? false,
      backing?.verified ?? false,
    );
    if (error !== 0) this.#files.close(handle);
    this.#sent(error);
  }

  #replyXattr(unique: number, value: Uint8Array | Errno, room: number): void {
    if (typeof value === 'string') this.#send(unique, errnoNumber(value), 0);
    else if (room === 0) this.#send(unique, 0, this.#encode.xattrSize(value.length));
    else if (value.length > room) this.#send(unique, ERANGE, 0);
    else this.#sent(this.#native.replyBytes(unique, value, value.length));
  }

  #onInit(minor: number, passthrough: boolean, readBytesMax: number, error: number): void {
    if (error === 0) return this.#agreed.resolve({ minor, passthrough, readBytesMax });
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

  #fail(unique: number, thrown: unknown): void {
    const error = asTarnError(thrown);
    if (error.kind !== 'aborted') this.#onFault(error);
    this.#send(unique, errnoNumber(errnoOf(error)), 0);
  }

  #send(unique: number, error: number, length: number): number {
    return this.#sent(this.#native.reply(unique, error, length));
  }

  /** Tells of an answer that the kernel did not take, unless it had stopped waiting for it. */
  #sent(error: number): number {
    if (error !== 0 && error !== ENOENT && error !== ENODEV && error !== EBADF) {
      this.#onFault(new TarnError('io', `the kernel refused an answer: ${errnoName(error)}`));
    }
    return error;
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (fault) {
      this.#onFault(fault);
    }
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

/** The names of extended attributes as listxattr(2) gives them, each ended by NUL. */
function joined(names: readonly Key[]): Uint8Array {
  return Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
}
