import { andThen, isPromise, type MaybePromise } from '../../util/async.js';
import type { Key } from '../../model/path.js';
import type {
  Attributes,
  Errno,
  Handle,
  Inode,
  OpenedFile,
  StagedBacking,
} from '../../vfs/filesystem.js';
import type {
  AttributeChange,
  NewOwner,
  OpenAccess,
  RequestId,
  Timestamp,
  WritableFilesystem,
} from '../../vfs/writable.js';
import { errnoNumber } from '../errno.js';
import { NEVER, type Answers } from './answers.js';
import type { ReplyEncoder } from './encode.js';
import type { Handles } from './handles.js';
import type { Holding } from './holding.js';
import { kindOf, renameHow, withoutPrivileges } from './linux.js';
import type { Opens } from './opens.js';
import type { Requests } from './requests.js';
import { accessOf, FSYNC_DATA, O_EXCL, OP, OPEN_KILLS_PRIVILEGES, SET } from './wire.js';

/** lseek(2). */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** setxattr(2). */
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
/** An answer of 32 bits tells of no more, in whole pages. */
const COPY_BYTES_MAX = 0x7fff_f000;

interface Tools {
  readonly requests: Requests;
  readonly answers: Answers;
  readonly encode: ReplyEncoder;
  readonly holding: Holding;
}

/** Carries the requests that only a filesystem that can be written takes. */
export class Writing {
  readonly #fs: WritableFilesystem;
  readonly #requests: Requests;
  readonly #answers: Answers;
  readonly #encode: ReplyEncoder;
  readonly #holding: Holding;
  readonly #opens: Opens;
  readonly #directories: Handles;
  /** Of the mount, where it outlives the process. */
  readonly #id: string | undefined;
  #killsPrivileges = false;

  /** @param id of the mount, where it outlives the process */
  constructor(
    fs: WritableFilesystem,
    tools: Tools,
    opens: Opens,
    directories: Handles,
    id: string | undefined,
  ) {
    this.#fs = fs;
    this.#id = id;
    this.#requests = tools.requests;
    this.#answers = tools.answers;
    this.#encode = tools.encode;
    this.#opens = opens;
    this.#directories = directories;
    this.#holding = tools.holding;
  }

  /** As WritableDriverEvents. */
  nodeStaged(inode: Inode, { fd, partial }: StagedBacking): void {
    const { native } = this.#answers;
    this.#answers.sent(native.setStaged(inode, fd, partial?.mapFd ?? -1));
  }

  /** @param killsPrivileges the kernel leaves it to us to take setuid bits away */
  agree(killsPrivileges: boolean): void {
    this.#killsPrivileges = killsPrivileges;
  }

  /** False when the request is one that every filesystem takes. */
  take(): boolean {
    if (this.#requests.isResent && this.#repeat()) return true;
    switch (this.#requests.opcode) {
      case OP.open:
        this.#open();
        return true;
      case OP.create:
        this.#create();
        return true;
      case OP.setattr:
        this.#setattr();
        return true;
      default:
        return this.#takeNames() || this.#takeBytes() || this.#takeXattrs();
    }
  }

  /** Names a request for good: its number tells it from others of this mount. */
  #request(): RequestId | undefined {
    return this.#id === undefined
      ? undefined
      : (`${this.#id}.${this.#requests.unique}` as RequestId);
  }

  /** Answers a request that was done, but not answered, by the process before. */
  #repeat(): boolean {
    const request = this.#request();
    const inode = request === undefined ? undefined : this.#fs.outcomeOf?.(request);
    if (inode === undefined) return false;
    const { opcode, unique, flags } = this.#requests;
    const fs = this.#fs;
    switch (opcode) {
      case OP.mkdir:
      case OP.mknod:
      case OP.symlink:
      case OP.link:
        this.#made(fs.take?.(inode, NEVER) ?? 'ESTALE');
        return true;
      case OP.create: {
        const access = { ...accessOf(flags), truncates: false };
        this.#created(
          andThen(fs.take?.(inode, NEVER) ?? 'ESTALE', (found) => this.#openFound(found, access)),
        );
        return true;
      }
      case OP.setattr:
        this.#changed(fs.getattr(inode, NEVER));
        return true;
      case OP.unlink:
      case OP.rmdir:
      case OP.rename:
      case OP.rename2:
      case OP.setxattr:
      case OP.removexattr:
        this.#done(unique, undefined);
        return true;
      default:
        return false;
    }
  }

  #takeNames(): boolean {
    const fs = this.#fs;
    const { opcode, unique, inode } = this.#requests;
    const id = this.#request();
    switch (opcode) {
      case OP.mkdir:
        this.#made(fs.makeDirectory(inode, this.#requests.name(), this.#owner(), NEVER, id));
        return true;
      case OP.mknod:
        this.#made(this.#mknod());
        return true;
      case OP.symlink: {
        const target = this.#text();
        this.#made(fs.symlink(inode, this.#requests.name(), target, this.#owner(), NEVER, id));
        return true;
      }
      case OP.link:
        this.#made(fs.link(this.#requests.node2, inode, this.#requests.name(), NEVER, id));
        return true;
      case OP.unlink:
        this.#done(unique, fs.unlink(inode, this.#requests.name(), NEVER, id));
        return true;
      case OP.rmdir:
        this.#done(unique, fs.removeDirectory(inode, this.#requests.name(), NEVER, id));
        return true;
      case OP.rename:
      case OP.rename2:
        this.#done(unique, this.#rename());
        return true;
      default:
        return false;
    }
  }

  #takeBytes(): boolean {
    const fs = this.#fs;
    const { opcode, unique, pid, handle } = this.#requests;
    const { signal } = this.#answers;
    switch (opcode) {
      case OP.write: {
        const { index, offset } = this.#requests;
        const bytes = this.#answers.native.payload(index);
        this.#counted(handle, fs.write(handle, offset, bytes, signal));
        return true;
      }
      case OP.need:
        this.#fill();
        return true;
      case OP.fsync:
        this.#sync(handle);
        return true;
      case OP.fsyncdir: {
        const done = fs.fsyncdir(handle, signal);
        if (isPromise(done)) this.#directories.hold(handle, done);
        this.#answers.when(unique, pid, done, this.#replyDone);
        return true;
      }
      case OP.fallocate: {
        const { mode, offset, length } = this.#requests;
        const done = fs.fallocate(handle, mode, offset, length, NEVER);
        this.#opens.hold(handle, done);
        this.#done(unique, done);
        return true;
      }
      case OP.lseek:
        this.#seek();
        return true;
      case OP.copyFileRange:
      case OP.copyFileRange64:
        this.#copyRange(opcode === OP.copyFileRange64);
        return true;
      default:
        return false;
    }
  }

  #takeXattrs(): boolean {
    const { opcode, unique, inode, flags, index } = this.#requests;
    if (opcode === OP.removexattr) {
      this.#done(
        unique,
        this.#fs.removexattr(inode, this.#requests.name(), NEVER, this.#request()),
      );
      return true;
    }
    if (opcode !== OP.setxattr) return false;
    const how = flags === XATTR_CREATE ? 'create' : flags === XATTR_REPLACE ? 'replace' : 'set';
    const value = this.#answers.native.payload(index);
    const name = this.#requests.name();
    this.#done(unique, this.#fs.setxattr(inode, name, value, how, NEVER, this.#request()));
    return true;
  }

  #owner(): NewOwner {
    const { mode, uid, gid } = this.#requests;
    return { mode: mode & 0o7777, uid, gid };
  }

  /** The payload as a name or target. */
  #text(): Key {
    return this.#answers.native.payload(this.#requests.index).toString('latin1') as Key;
  }

  #open(): void {
    const { inode, openFlags, flags, pid } = this.#requests;
    const access = accessOf(flags, pid);
    const { signal } = this.#answers;
    const opening =
      this.#killsPrivileges && (openFlags & OPEN_KILLS_PRIVILEGES) !== 0
        ? andThen(this.#change(inode, {}, true), (changed) =>
            typeof changed === 'string' ? changed : this.#fs.openFor(inode, access, signal),
          )
        : this.#fs.openFor(inode, access, signal);
    // Stores through a map of the file may change its times unseen, which are volatile from now on.
    if (access.writes) this.#answers.native.nodeChanged(inode, false);
    // Called off: the kernel was told EINTR, so it knows of no truncation.
    this.#opens.answer(this.#requests, opening, () => {
      if (access.truncates) this.#answers.native.nodeChanged(inode, true);
    });
  }

  #create(): void {
    const { inode: parent, flags, pid } = this.#requests;
    const name = this.#requests.name();
    const access = accessOf(flags, pid);
    const created = this.#fs.create(parent, name, this.#owner(), access, NEVER, this.#request());
    const settled =
      (flags & O_EXCL) !== 0
        ? created
        : andThen(created, (made) =>
            // Made meanwhile through another mount.
            made === 'EEXIST' ? this.#openNamed(parent, name, access) : made,
          );
    this.#created(settled);
  }

  #created(created: MaybePromise<{ attributes: Attributes; opened: OpenedFile } | Errno>): void {
    const { unique, flags } = this.#requests;
    this.#answers.whenDone(
      unique,
      created,
      (to, made) => {
        if (typeof made === 'string') return this.#answers.refuse(to, made);
        const { attributes, opened } = made;
        const entry = this.#encode.entry(attributes);
        if (this.#opens.reply(to, entry, attributes.inode, flags, opened) !== 0) {
          this.#holding.forgetEntry(attributes);
        }
      },
      (made) => {
        if (typeof made === 'string') return;
        this.#fs.release(made.opened.handle);
        this.#holding.forgetEntry(made.attributes);
      },
    );
  }

  #openNamed(
    parent: Inode,
    name: Key,
    access: OpenAccess,
  ): MaybePromise<{ attributes: Attributes; opened: OpenedFile } | Errno> {
    return andThen(this.#fs.lookup(parent, name, NEVER), (found) => this.#openFound(found, access));
  }

  #openFound(
    found: Attributes | Errno,
    access: OpenAccess,
  ): MaybePromise<{ attributes: Attributes; opened: OpenedFile } | Errno> {
    if (typeof found === 'string') return found;
    return andThen(this.#fs.openFor(found.inode, access, NEVER), (opened) => {
      if (typeof opened !== 'string') return { attributes: found, opened };
      this.#holding.forgetEntry(found);
      return opened;
    });
  }

  #setattr(): void {
    const { inode, flags: set, mode, uid, gid, length, handle } = this.#requests;
    const change: AttributeChange = {
      ...((set & SET.mode) !== 0 && { mode: mode & 0o7777 }),
      ...((set & SET.uid) !== 0 && { uid }),
      ...((set & SET.gid) !== 0 && { gid }),
      ...((set & SET.size) !== 0 && { size: length }),
      ...((set & SET.atime) !== 0 && { atime: time(set & SET.atimeNow, this.#requests.atime) }),
      ...((set & SET.mtime) !== 0 && { mtime: time(set & SET.mtimeNow, this.#requests.mtime) }),
      ...((set & SET.size) !== 0 && (set & SET.byHandle) !== 0 && { handle }),
    };
    // A SETATTR that sets nothing is how the kernel asks for it when a program writes.
    const kills =
      (set & (SET.uid | SET.gid | SET.killPrivileges)) !== 0 || Object.keys(change).length === 0;
    const changed = this.#change(inode, change, this.#killsPrivileges && kills);
    if (change.handle !== undefined) this.#opens.hold(change.handle, changed);
    this.#changed(changed);
  }

  #changed(changed: MaybePromise<Attributes | Errno>): void {
    this.#answers.whenDone(this.#requests.unique, changed, (to, found) => {
      if (typeof found === 'string') this.#answers.refuse(to, found);
      else this.#answers.send(to, 0, this.#encode.attributes(found));
    });
  }

  /** @param kills set-user-ID and set-group-ID go as well, if it is a program */
  #change(inode: Inode, change: AttributeChange, kills: boolean): MaybePromise<Attributes | Errno> {
    const id = this.#request();
    if (!kills || change.mode !== undefined) return this.#fs.setattr(inode, change, NEVER, id);
    return andThen(this.#fs.getattr(inode, NEVER), (found) => {
      if (typeof found === 'string') return found;
      const mode = found.kind === 'file' ? withoutPrivileges(found.mode) : found.mode;
      if (mode !== found.mode) return this.#fs.setattr(inode, { ...change, mode }, NEVER, id);
      return Object.keys(change).length === 0 ? found : this.#fs.setattr(inode, change, NEVER, id);
    });
  }

  #mknod(): MaybePromise<Attributes | Errno> {
    const { inode, mode, length: device } = this.#requests;
    const kind = kindOf(mode);
    if (kind === undefined) return 'EINVAL';
    const name = this.#requests.name();
    return this.#fs.makeNode(inode, name, kind, this.#owner(), device, NEVER, this.#request());
  }

  #rename(): MaybePromise<undefined | Errno> {
    const { inode, node2, flags } = this.#requests;
    const how = renameHow(flags);
    if (how === undefined) return 'EINVAL';
    const name = this.#requests.name();
    return this.#fs.rename(inode, name, node2, this.#text(), how, NEVER, this.#request());
  }

  /** Answers with the node that was made. */
  #made(made: MaybePromise<Attributes | Errno>): void {
    this.#answers.whenDone(
      this.#requests.unique,
      made,
      (to, found) => {
        if (typeof found === 'string') this.#answers.refuse(to, found);
        else if (this.#answers.send(to, 0, this.#encode.entry(found)) !== 0) {
          this.#holding.forgetEntry(found);
        }
      },
      this.#holding.forgetEntry,
    );
  }

  #done(unique: number, done: MaybePromise<undefined | Errno>): void {
    this.#answers.whenDone(unique, done, this.#replyDone);
  }

  #sync(handle: Handle): void {
    const { unique, pid, flags } = this.#requests;
    const what = (flags & FSYNC_DATA) === 0 ? 'all' : 'data';
    const done = this.#fs.fsync(handle, what, this.#answers.signal);
    this.#opens.hold(handle, done);
    this.#answers.when(unique, pid, done, this.#replyDone);
  }

  readonly #replyDone = (unique: number, errno: undefined | Errno): void => {
    this.#answers.send(unique, errno === undefined ? 0 : errnoNumber(errno), 0);
  };

  #counted(handle: Handle, written: MaybePromise<number | Errno>): void {
    const { unique, pid } = this.#requests;
    this.#opens.hold(handle, written);
    this.#answers.when(unique, pid, written, (to, count) => {
      if (typeof count === 'string') this.#answers.refuse(to, count);
      else this.#answers.send(to, 0, this.#encode.count(count));
    });
  }

  /** Brings a page of a partial file to the thread that writes a part of it. */
  #fill(): void {
    const { unique, pid, handle, offset, size } = this.#requests;
    const page = this.#fs.read(handle, offset, size, this.#answers.signal);
    this.#opens.hold(handle, page);
    this.#answers.when(unique, pid, page, (to, bytes) => {
      if (typeof bytes === 'string') return this.#answers.refuse(to, bytes);
      this.#answers.sent(this.#answers.native.fill(to, bytes, bytes.length));
    });
  }

  #seek(): void {
    const { unique, pid, handle, offset, flags: whence } = this.#requests;
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) {
      return this.#answers.refuse(unique, 'EINVAL');
    }
    const to = whence === SEEK_DATA ? 'data' : 'hole';
    const found = this.#fs.seek(handle, offset, to, this.#answers.signal);
    this.#opens.hold(handle, found);
    this.#answers.when(unique, pid, found, (asked, at) => {
      if (typeof at === 'string') this.#answers.refuse(asked, at);
      else this.#answers.send(asked, 0, this.#encode.number(at));
    });
  }

  #copyRange(wide: boolean): void {
    const { unique, handle, offset, handle2, offset2 } = this.#requests;
    const length = wide ? this.#requests.length : Math.min(this.#requests.length, COPY_BYTES_MAX);
    const copied = this.#fs.copyRange(handle, offset, handle2, offset2, length, NEVER);
    this.#opens.hold(handle, copied);
    this.#opens.hold(handle2, copied);
    this.#answers.whenDone(unique, copied, (to, count) => {
      if (typeof count === 'string') this.#answers.refuse(to, count);
      else this.#answers.send(to, 0, wide ? this.#encode.number(count) : this.#encode.count(count));
    });
  }
}

function time(now: number, at: Timestamp): Timestamp | 'now' {
  return now !== 0 ? 'now' : at;
}
