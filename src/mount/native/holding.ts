import type { Attributes, Errno, Inode } from '../../vfs/filesystem.js';
import type { HoldingFilesystem } from '../../vfs/living.js';
import type { Answers } from './answers.js';
import type { Requests } from './requests.js';
import { OP } from './wire.js';

/** Bytes of struct fuse_forget_one. */
const FORGET_BYTES = 16;

/** Carries what the kernel forgets, and what it did not get, to a filesystem that counts. */
export class Holding {
  readonly #fs: HoldingFilesystem;
  readonly #requests: Requests;
  readonly #answers: Answers;

  constructor(fs: HoldingFilesystem, requests: Requests, answers: Answers) {
    this.#fs = fs;
    this.#requests = requests;
    this.#answers = answers;
  }

  /** False when the request forgets nothing. */
  take(): boolean {
    const { opcode, inode, length } = this.#requests;
    if (opcode === OP.forget) this.#fs.forget(inode, length);
    else if (opcode === OP.batchForget) this.#forgetBatch();
    else return false;
    return true;
  }

  /** The kernel did not get what was found. */
  readonly forgetEntry = (found: Attributes | Errno): void => {
    if (typeof found !== 'string') this.forgetAll([found.inode]);
  };

  forgetAll(inodes: readonly Inode[]): void {
    for (const inode of inodes) this.#answers.guard(() => this.#fs.forget(inode, 1));
  }

  #forgetBatch(): void {
    const { size, index } = this.#requests;
    const items = this.#answers.native.payload(index);
    for (let at = 0; at < size * FORGET_BYTES; at += FORGET_BYTES) {
      const inode = Number(items.readBigUInt64LE(at));
      this.#fs.forget(inode, Number(items.readBigUInt64LE(at + 8)));
    }
  }
}
