import { isPromise, type MaybePromise } from '../../util/async.js';
import { TarnError } from '../../util/errors.js';
import { errnoName } from '../errno.js';
import type { Errno, Filesystem, Handle, Inode, OpenedFile } from '../../vfs/filesystem.js';
import type { Resumable } from '../../vfs/resuming.js';
import { NEVER, type Answers } from './answers.js';
import { Handles } from './handles.js';
import type { OpenFileRecord } from './ledger.js';
import { accessOf } from './wire.js';

/** The open files of a mount. */
export class Opens {
  readonly #fs: Filesystem;
  readonly #answers: Answers;
  readonly #handles: Handles;

  constructor(fs: Filesystem, answers: Answers) {
    this.#fs = fs;
    this.#answers = answers;
    this.#handles = new Handles((handle) => answers.guard(() => fs.release(handle)));
  }

  /** Answers OPEN with what comes. */
  answer(
    request: { unique: number; pid: number; inode: Inode; flags: number },
    opening: MaybePromise<OpenedFile | Errno>,
    discarded?: () => void,
  ): void {
    const { unique, pid, inode, flags } = request;
    this.#answers.when(
      unique,
      pid,
      opening,
      (to, opened) => {
        if (typeof opened === 'string') this.#answers.refuse(to, opened);
        else this.reply(to, 0, inode, flags, opened);
      },
      (opened) => {
        discarded?.();
        if (typeof opened !== 'string') this.#fs.release(opened.handle);
      },
    );
  }

  /**
   * Answers OPEN, or with the `entryBytes` that are encoded already CREATE. Zero or an errno: then
   * the kernel has not got it, and the file is released.
   */
  reply(
    unique: number,
    entryBytes: number,
    inode: Inode,
    flags: number,
    opened: OpenedFile,
  ): number {
    const { handle } = opened;
    const { fd, offset, length, exact, verified, stagedFd, mapFd } = bytesOf(opened);
    const { partial, isAsked } = opened.staged ?? {};
    this.#handles.open(handle);
    const error = this.#answers.native.replyOpen(
      unique,
      entryBytes,
      handle,
      inode,
      fd,
      offset,
      length,
      exact,
      verified,
      stagedFd,
      mapFd,
      opened.isDirect ?? false,
      partial?.isCachedRight ?? false,
      isAsked ?? false,
      flags,
    );
    if (error !== 0) this.#handles.close(handle);
    return this.#answers.sent(error);
  }

  /**
   * Opens what the kernel has open already.
   * @throws TarnError io and what opening throws
   */
  async restore(filesystem: Resumable, record: OpenFileRecord): Promise<void> {
    const { handle, inode, flags, backingId } = record;
    const access = { ...accessOf(flags), truncates: false };
    const opened = await filesystem.reopen(handle, inode, access, NEVER);
    if (typeof opened === 'string') throw new TarnError('io', `opening it again gave ${opened}`);
    const { fd, offset, length, exact, verified, stagedFd, mapFd } = bytesOf(opened);
    const error = this.#answers.native.restore(
      backingId,
      0,
      handle,
      inode,
      fd,
      offset,
      length,
      exact,
      verified,
      stagedFd,
      mapFd,
    );
    this.#handles.open(handle);
    if (error === 0) return;
    this.#handles.close(handle);
    throw new TarnError('io', `opening it again failed: ${errnoName(error)}`);
  }

  read(unique: number, pid: number, handle: Handle, offset: number, size: number): void {
    const bytes = this.#fs.read(handle, offset, size, this.#answers.signal);
    this.hold(handle, bytes);
    this.#answers.when(unique, pid, bytes, (to, read) => {
      if (typeof read === 'string') return this.#answers.refuse(to, read);
      const length = Math.min(read.length, size);
      this.#answers.sent(this.#answers.native.replyBytes(to, read, length));
    });
  }

  /** Keeps the handle from being released until the call has settled. */
  hold(handle: Handle, call: unknown): void {
    if (isPromise(call)) this.#handles.hold(handle, call);
  }

  close(handle: Handle): void {
    this.#handles.close(handle);
  }

  closeAll(): void {
    this.#handles.closeAll();
  }
}

interface Bytes {
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
  readonly exact: boolean;
  readonly verified: boolean;
  readonly stagedFd: number;
  readonly mapFd: number;
}

const NOWHERE = { fd: -1, offset: 0, length: 0, exact: false, verified: false } as const;

/** As the addon takes it. */
function bytesOf({ backing, staged }: OpenedFile): Bytes {
  const partial = staged?.partial;
  const base = backing ?? (partial === undefined ? NOWHERE : baseOf(partial));
  return { ...base, stagedFd: staged?.fd ?? -1, mapFd: partial?.mapFd ?? -1 };
}

function baseOf(partial: NonNullable<NonNullable<OpenedFile['staged']>['partial']>) {
  const { baseFd: fd, baseOffset: offset, baseLength: length, verified } = partial;
  return { fd, offset, length, exact: false, verified };
}
