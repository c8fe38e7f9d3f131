import { isPromise, type MaybePromise } from '../../util/async.js';
import type { Errno, Filesystem, Handle, Inode, OpenedFile } from '../../vfs/filesystem.js';
import type { Answers } from './answers.js';
import { Handles } from './handles.js';

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
    unique: number,
    pid: number,
    inode: Inode,
    opening: MaybePromise<OpenedFile | Errno>,
    discarded?: () => void,
  ): void {
    this.#answers.when(
      unique,
      pid,
      opening,
      (to, opened) => {
        if (typeof opened === 'string') this.#answers.refuse(to, opened);
        else this.reply(to, 0, inode, opened);
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
  reply(unique: number, entryBytes: number, inode: Inode, opened: OpenedFile): number {
    const { handle, staged } = opened;
    const partial = staged?.partial;
    const backing = opened.backing ?? (partial === undefined ? undefined : baseOf(partial));
    this.#handles.open(handle);
    const error = this.#answers.native.replyOpen(
      unique,
      entryBytes,
      handle,
      inode,
      backing?.fd ?? -1,
      backing?.offset ?? 0,
      backing?.length ?? 0,
      backing?.exact ?? false,
      backing?.verified ?? false,
      staged?.fd ?? -1,
      partial?.mapFd ?? -1,
      opened.isDirect ?? false,
      partial?.isCachedRight ?? false,
    );
    if (error !== 0) this.#handles.close(handle);
    return this.#answers.sent(error);
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

function baseOf(partial: NonNullable<NonNullable<OpenedFile['staged']>['partial']>) {
  const { baseFd: fd, baseOffset: offset, baseLength: length, verified } = partial;
  return { fd, offset, length, exact: false, verified };
}
