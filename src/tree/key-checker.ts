import { PATH_BYTES_MAX } from '../model/path.js';
import type { ByteReader } from './bytes.js';
import { NodeFault } from './bytes.js';
import { RESTART_INTERVAL } from './format.js';

/** Bytes that a value of a usual kind takes at most, so that reading it cannot pass the end. */
const VALUE_ROOM = 64;

/** A node is decoded before anyone else can start on another one. */
const LAST_KEY = Buffer.allocUnsafeSlow(PATH_BYTES_MAX);

/** Checks front-coded keys as they come. */
export class KeyChecker {
  readonly #reader: ByteReader;
  /** The key of the item: its first `length` bytes. */
  readonly last = LAST_KEY;
  length = 0;

  /** The key that was peeked at: bytes of the key before, where its own begin, and how many. */
  #shared = 0;
  #start = 0;
  #suffix = 0;

  constructor(reader: ByteReader) {
    this.#reader = reader;
  }

  /**
   * Whether a key of the most usual kind stands here, short and well before the end of the node, that
   * keeps all rules: then the reader is behind it, and take() makes it the last key. Else next() is
   * to judge, from where the reader was.
   */
  peek(index: number): boolean {
    const { bytes, position } = this.#reader;
    const shared = bytes[position] as number;
    const suffix = bytes[position + 1] as number;
    if (suffix === 0 || shared >= 0x80 || suffix >= 0x80) return false;
    const start = position + 2;
    if (start + suffix + VALUE_ROOM > bytes.length) return false;
    if (index % RESTART_INTERVAL === 0) {
      if (shared !== 0 || (index > 0 && !this.#isBehind(start, suffix))) return false;
    } else if (shared > this.length) return false;
    else if (shared < this.length && (bytes[start] as number) <= (this.last[shared] as number))
      return false;
    this.#shared = shared;
    this.#start = start;
    this.#suffix = suffix;
    this.#reader.position = start + suffix;
    return true;
  }

  take(): void {
    const { bytes } = this.#reader;
    const last = this.last;
    const shared = this.#shared;
    const start = this.#start;
    const suffix = this.#suffix;
    for (let i = 0; i < suffix; i++) last[shared + i] = bytes[start + i] as number;
    this.length = shared + suffix;
  }

  next(index: number): void {
    if (this.peek(index)) return this.take();
    const reader = this.#reader;
    const shared = reader.uvarint();
    const suffix = reader.uvarint();
    const length = shared + suffix;
    if (suffix === 0 || length > PATH_BYTES_MAX) throw new NodeFault('a key has a bad length');
    const start = reader.skip(suffix);
    if (index % RESTART_INTERVAL === 0) {
      if (shared !== 0) throw new NodeFault('a restart point shares bytes of a key');
      if (index > 0) this.#checkWhole(start, suffix);
    } else {
      if (shared > this.length) throw new NodeFault('a key shares more bytes than there are');
      const next = reader.bytes[start] as number;
      if (shared < this.length && next <= (this.last[shared] as number)) {
        throw new NodeFault('its keys do not ascend, or share less than they could');
      }
    }
    const last = this.last;
    for (let i = 0; i < suffix; i++) last[shared + i] = reader.bytes[start + i] as number;
    this.length = length;
  }

  /** Whether the whole key at byte `start` sorts behind the last one. */
  #isBehind(start: number, length: number): boolean {
    const { bytes } = this.#reader;
    const last = this.last;
    const shorter = Math.min(length, this.length);
    let same = 0;
    while (same < shorter && bytes[start + same] === last[same]) same++;
    if (same === shorter) return length > this.length;
    return (bytes[start + same] as number) > (last[same] as number);
  }

  #checkWhole(start: number, length: number): void {
    const last = this.last;
    if (last.compare(this.#reader.bytes, start, start + length, 0, this.length) >= 0) {
      throw new NodeFault('its keys do not ascend');
    }
  }
}
