import { constants, read, write } from 'node:fs';
import { promisify } from 'node:util';
import { keyFromText, type Key } from '../../model/path.js';
import { andThen, type MaybePromise } from '../../util/async.js';
import type {
  Attributes,
  Errno,
  Handle,
  Inode,
  OpenedFile,
  SpecialKind,
} from '../../vfs/filesystem.js';
import type {
  AttributeChange,
  NewOwner,
  OpenAccess,
  Timestamp,
  WritableFilesystem,
} from '../../vfs/writable.js';
import { FilesystemOperations } from './operations.js';
import type { Answer, AnswerWith, WritingOperations } from './package.js';
import { HeldPaths } from './paths.js';
import { numberOf, type Serving } from './serving.js';

const readDescriptor = promisify(read);
const writeDescriptor = promisify(write);

const PERMISSIONS = 0o7777;
/** Of an owner or group that stays as it is. */
const UNCHANGED = 2 ** 32 - 1;
const KIND_OF_FORMAT: ReadonlyMap<number, SpecialKind | 'file'> = new Map([
  [0, 'file'],
  [constants.S_IFREG, 'file'],
  [constants.S_IFIFO, 'fifo'],
  [constants.S_IFSOCK, 'socket'],
  [constants.S_IFCHR, 'character'],
  [constants.S_IFBLK, 'block'],
]);
/** setxattr(2). */
const XATTR_HOW = ['set', 'create', 'replace'] as const;
const USER_XATTRS = 'user.';

/** The package does not tell how a file is opened that is made. */
const CREATE_ACCESS: OpenAccess = { reads: true, writes: true, truncates: false, appends: false };

/**
 * Answers what libfuse asks, by a filesystem that can be written. Since nothing is kept by the kernel
 * from one call to the next, what others change needs no telling. The package does not tell who calls:
 * what is made belongs to whom the mount shows.
 */
export class WritableOperations extends FilesystemOperations implements WritingOperations {
  readonly #filesystem: WritableFilesystem;
  readonly #serving: Serving;
  readonly #paths: HeldPaths;

  constructor(filesystem: WritableFilesystem, serving: Serving) {
    super(filesystem, serving);
    this.#filesystem = filesystem;
    this.#serving = serving;
    this.#paths = new HeldPaths(filesystem, serving.signal);
    filesystem.connectWriting({
      grant: () => undefined,
      entryChanged: () => undefined,
      nodeChanged: () => undefined,
      nodeStaged: () => undefined,
      heard: () => Promise.resolve(),
    });
  }

  override open(path: string, flags: number, answer: AnswerWith<number>): void {
    const way = flags & (constants.O_WRONLY | constants.O_RDWR);
    const access = {
      reads: way !== constants.O_WRONLY,
      writes: way !== constants.O_RDONLY,
      truncates: (flags & constants.O_TRUNC) !== 0,
      appends: (flags & constants.O_APPEND) !== 0,
    };
    const opened = () =>
      this.#paths.at(path, ({ inode }) => this.#filesystem.openFor(inode, access, this.#signal));
    this.#serving.settle(opened, answer, (file) => this.#serving.opened(file));
  }

  create(path: string, mode: number, answer: AnswerWith<number>): void {
    const made = (): MaybePromise<OpenedFile | Errno> =>
      this.#paths.in(path, async (parent, name) => {
        const owner = this.#owner(mode);
        const created = await this.#filesystem.create(
          parent,
          name,
          owner,
          CREATE_ACCESS,
          this.#signal,
        );
        if (typeof created === 'string') return created;
        this.#filesystem.forget(created.attributes.inode, 1);
        return created.opened;
      });
    this.#serving.settle(made, answer, (file) => this.#serving.opened(file));
  }

  override read(
    _path: string,
    handle: number,
    into: Buffer,
    length: number,
    offset: number,
    answer: Answer,
  ): void {
    this.#withFile(handle, answer, async (file) => {
      const { staged } = file;
      if (staged !== undefined && staged.partial === undefined) {
        return filled(staged.fd, into, length, offset);
      }
      const bytes = await this.#filesystem.read(file.handle, offset, length, this.#signal);
      if (typeof bytes === 'string') return bytes;
      into.set(bytes);
      return bytes.length;
    });
  }

  write(
    _path: string,
    handle: number,
    from: Buffer,
    length: number,
    offset: number,
    answer: Answer,
  ): void {
    this.#withFile(handle, answer, async ({ handle: opened, staged }) => {
      if (staged !== undefined && staged.partial === undefined) {
        return (await writeDescriptor(staged.fd, from, 0, length, offset)).bytesWritten;
      }
      return this.#filesystem.write(opened, offset, from.subarray(0, length), this.#signal);
    });
  }

  truncate(path: string, size: number, answer: Answer): void {
    this.#change(path, { size }, answer);
  }

  ftruncate(path: string, handle: number, size: number, answer: Answer): void {
    const file = this.#serving.file(handle);
    this.#change(path, file === undefined ? { size } : { size, handle: file.handle }, answer);
  }

  fsync(_path: string, dataOnly: number, handle: number, answer: Answer): void {
    const what = dataOnly === 0 ? 'all' : 'data';
    this.#withFile(handle, answer, async (file) =>
      this.#done(this.#filesystem.fsync(file.handle, what, this.#signal)),
    );
  }

  fsyncdir(path: string, _dataOnly: number, _handle: number, answer: Answer): void {
    this.#name(answer, () => this.#paths.at(path, ({ inode }) => this.#syncDirectory(inode)));
  }

  chmod(path: string, mode: number, answer: Answer): void {
    this.#change(path, { mode: mode & PERMISSIONS }, answer);
  }

  chown(path: string, uid: number, gid: number, answer: Answer): void {
    const change = {
      ...(uid === UNCHANGED ? {} : { uid }),
      ...(gid === UNCHANGED ? {} : { gid }),
    };
    this.#change(path, change, answer);
  }

  utimens(path: string, atime: number, mtime: number, answer: Answer): void {
    this.#change(path, { atime: timestamp(atime), mtime: timestamp(mtime) }, answer);
  }

  mknod(path: string, mode: number, device: number, answer: Answer): void {
    const kind = KIND_OF_FORMAT.get(mode & constants.S_IFMT);
    this.#made(path, answer, (parent, name) =>
      kind === undefined
        ? 'EINVAL'
        : this.#filesystem.makeNode(parent, name, kind, this.#owner(mode), device, this.#signal),
    );
  }

  mkdir(path: string, mode: number, answer: Answer): void {
    this.#made(path, answer, (parent, name) =>
      this.#filesystem.makeDirectory(parent, name, this.#owner(mode), this.#signal),
    );
  }

  symlink(target: string, path: string, answer: Answer): void {
    const owner = this.#owner(0o777);
    this.#made(path, answer, (parent, name) =>
      this.#filesystem.symlink(parent, name, keyFromText(target), owner, this.#signal),
    );
  }

  link(from: string, to: string, answer: Answer): void {
    this.#made(to, answer, (parent, name) =>
      this.#paths.at(from, ({ inode }) => this.#filesystem.link(inode, parent, name, this.#signal)),
    );
  }

  unlink(path: string, answer: Answer): void {
    this.#name(answer, () =>
      this.#paths.in(path, (parent, name) =>
        this.#done(this.#filesystem.unlink(parent, name, this.#signal)),
      ),
    );
  }

  rmdir(path: string, answer: Answer): void {
    this.#name(answer, () =>
      this.#paths.in(path, (parent, name) =>
        this.#done(this.#filesystem.removeDirectory(parent, name, this.#signal)),
      ),
    );
  }

  rename(from: string, to: string, answer: Answer): void {
    const { signal } = this.#serving;
    this.#name(answer, () =>
      this.#paths.in(from, (parent, name) =>
        this.#paths.in(to, (newParent, newName) =>
          this.#done(this.#filesystem.rename(parent, name, newParent, newName, 'replace', signal)),
        ),
      ),
    );
  }

  setxattr(
    path: string,
    name: string,
    value: Buffer,
    _position: number,
    flags: number,
    answer: Answer,
  ): void {
    const how = XATTR_HOW[flags];
    // The package takes the buffer back.
    const bytes = Uint8Array.from(value);
    this.#name(answer, () => {
      if (!name.startsWith(USER_XATTRS)) return 'ENOTSUP';
      if (how === undefined) return 'EINVAL';
      const key = keyFromText(name);
      return this.#paths.at(path, ({ inode }) =>
        this.#done(this.#filesystem.setxattr(inode, key, bytes, how, this.#signal)),
      );
    });
  }

  removexattr(path: string, name: string, answer: Answer): void {
    this.#name(answer, () =>
      name.startsWith(USER_XATTRS)
        ? this.#paths.at(path, ({ inode }) =>
            this.#done(this.#filesystem.removexattr(inode, keyFromText(name), this.#signal)),
          )
        : 'ENOTSUP',
    );
  }

  get #signal(): AbortSignal {
    return this.#serving.signal;
  }

  #owner(mode: number): NewOwner {
    const { uid, gid } = this.#serving.options;
    return { mode: mode & PERMISSIONS, uid, gid };
  }

  /** 0 for a call that gives nothing. */
  #done(outcome: MaybePromise<undefined | Errno>): MaybePromise<number | Errno> {
    return andThen(outcome, (errno) => errno ?? 0);
  }

  #name(answer: Answer, ask: () => MaybePromise<number | Errno>): void {
    this.#serving.settle(ask, (result) => answer(result));
  }

  #change(path: string, change: AttributeChange, answer: Answer): void {
    const changed = () =>
      this.#paths.at(path, ({ inode }) => this.#filesystem.setattr(inode, change, this.#signal));
    this.#serving.settle(changed, (result) => answer(result));
  }

  /** The node that was made is let go at once. */
  #made(
    path: string,
    answer: Answer,
    make: (parent: Inode, name: Key) => MaybePromise<Attributes | Errno>,
  ): void {
    this.#serving.settle(
      () => this.#paths.in(path, make),
      (result, found) => {
        if (found !== undefined) this.#filesystem.forget(found.inode, 1);
        answer(result);
      },
    );
  }

  /** A count of bytes is the answer. */
  #withFile(
    handle: Handle,
    answer: Answer,
    use: (file: OpenedFile) => Promise<number | Errno>,
  ): void {
    const file = this.#serving.file(handle);
    if (file === undefined) {
      answer(numberOf('EBADF'));
      return;
    }
    this.#serving.settle(
      () => use(file),
      (result, count) => answer(count ?? result),
    );
  }

  async #syncDirectory(inode: Inode): Promise<number | Errno> {
    const opened = await this.#filesystem.opendir(inode, this.#signal);
    if (typeof opened === 'string') return opened;
    try {
      return await this.#done(this.#filesystem.fsyncdir(opened.handle, this.#signal));
    } finally {
      this.#filesystem.releasedir(opened.handle);
    }
  }
}

/** Bytes read; fewer than `length` only at the end of the file. */
async function filled(fd: number, into: Buffer, length: number, offset: number): Promise<number> {
  let count = 0;
  while (count < length) {
    const { bytesRead } = await readDescriptor(fd, into, count, length - count, offset + count);
    if (bytesRead === 0) break;
    count += bytesRead;
  }
  return count;
}

function timestamp(ms: number): Timestamp {
  return { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 };
}
