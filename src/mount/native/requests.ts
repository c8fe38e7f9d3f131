import type { Key } from '../../model/path.js';
import { RECORD } from './addon.js';

/** Requests taken from the reader threads in one call. */
const BATCH_MAX = 128;

/** The batch that the addon has handed over, one request selected at a time; see RECORD. */
export class Requests {
  readonly records = new Float64Array(BATCH_MAX * RECORD.numbers);
  readonly names = Buffer.from(new ArrayBuffer(BATCH_MAX * RECORD.nameBytes));
  #index = 0;
  #at = 0;

  select(index: number): void {
    this.#index = index;
    this.#at = index * RECORD.numbers;
  }

  /** In the batch, for NativeSession.payload. */
  get index(): number {
    return this.#index;
  }

  get opcode(): number {
    return this.#number(RECORD.opcode);
  }

  get unique(): number {
    return this.#number(RECORD.unique);
  }

  get isResent(): boolean {
    return this.#number(RECORD.isResent) === 1;
  }

  get inode(): number {
    return this.#number(RECORD.nodeid);
  }

  get handle(): number {
    return this.#number(RECORD.handle);
  }

  get offset(): number {
    return this.#number(RECORD.offset);
  }

  get size(): number {
    return this.#number(RECORD.size);
  }

  get pid(): number {
    return this.#number(RECORD.pid);
  }

  get uid(): number {
    return this.#number(RECORD.uid);
  }

  get gid(): number {
    return this.#number(RECORD.gid);
  }

  get mode(): number {
    return this.#number(RECORD.mode);
  }

  get flags(): number {
    return this.#number(RECORD.flags);
  }

  get openFlags(): number {
    return this.#number(RECORD.openFlags);
  }

  get node2(): number {
    return this.#number(RECORD.node2);
  }

  get handle2(): number {
    return this.#number(RECORD.handle2);
  }

  get offset2(): number {
    return this.#number(RECORD.offset2);
  }

  get length(): number {
    return this.#number(RECORD.length);
  }

  get atime(): { readonly sec: number; readonly nsec: number } {
    return { sec: this.#number(RECORD.atimeSec), nsec: this.#number(RECORD.atimeNsec) };
  }

  get mtime(): { readonly sec: number; readonly nsec: number } {
    return { sec: this.#number(RECORD.mtimeSec), nsec: this.#number(RECORD.mtimeNsec) };
  }

  name(): Key {
    const start = this.#number(RECORD.nameStart);
    return this.names.toString('latin1', start, this.#number(RECORD.nameEnd)) as Key;
  }

  #number(field: number): number {
    return this.records[this.#at + field] ?? 0;
  }
}
