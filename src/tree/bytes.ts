/**
 * Integers as the node format writes them: unsigned LEB128 of at most 2^53 - 1 in its shortest
 * form, zigzag for signed ones, and fixed little-endian words.
 */

/** What is wrong with a node's bytes; the decoder turns it into a TarnError that names the node. */
export class NodeFault extends Error {
  /** The bytes may be sound, but only a newer tarn knows what they mean. */
  readonly newer: boolean;

  constructor(message: string, newer = false) {
    super(message);
    this.newer = newer;
  }
}

/** The same bytes, not a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const UVARINT_BYTES_MAX = 8;
const TWO_32 = 4_294_967_296;

/** Reads forward; every read is checked against the end of the bytes. */
export class ByteReader {
  readonly bytes: Buffer;
  position = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  u8(): number {
    const byte = this.bytes[this.position];
    if (byte === undefined) throw new NodeFault('it is cut short');
    this.position++;
    return byte;
  }

  u16(): number {
    const low = this.u8();
    return low + this.u8() * 256;
  }

  u32(): number {
    const low = this.u16();
    return low + this.u16() * 65_536;
  }

  /** Eight bytes that hold at most 2^53 - 1. */
  u53(): number {
    const low = this.u32();
    const value = low + this.u32() * TWO_32;
    if (value > Number.MAX_SAFE_INTEGER) throw new NodeFault('a number is over 2^53 - 1');
    return value;
  }

  uvarint(): number {
    const first = this.bytes[this.position];
    if (first !== undefined && first < 0x80) {
      this.position++;
      return first;
    }
    const start = this.position;
    const short = this.short();
    if (short >= 0) return short;
    this.position = start;
    return this.#longUvarint();
  }

  /** A number below 2^28 in its shortest form; -1 for another, with the position anywhere. */
  short(): number {
    const bytes = this.bytes;
    let byte = bytes[this.position++];
    if (byte === undefined) return -1;
    let value = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      byte = bytes[this.position++];
      if (shift > 21 || byte === undefined || byte === 0) return -1;
      value |= (byte & 0x7f) << shift;
    }
    return value;
  }

  #longUvarint(): number {
    let value = 0;
    let unit = 1;
    for (let i = 0; i < UVARINT_BYTES_MAX; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * unit;
      unit *= 128;
      if (byte >= 0x80) continue;
      if (byte === 0 && i > 0) throw new NodeFault('a number is longer than it need be');
      if (value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    throw new NodeFault('a number is over 2^53 - 1');
  }

  zigzag(): number {
    return fromZigzag(this.uvarint());
  }

  /** Steps over `length` bytes and returns where they start. */
  skip(length: number): number {
    const start = this.position;
    if (length > this.bytes.length - start) throw new NodeFault('it is cut short');
    this.position = start + length;
    return start;
  }
}

/** Appends to a buffer that grows. */
export class ByteWriter {
  bytes: Buffer;
  length = 0;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for `more` bytes; the calls that write one number rely on an earlier reserve. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + more));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  u8(value: number): void {
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.bytes[this.length++] = value & 0xff;
    this.bytes[this.length++] = value >>> 8;
  }

  u32(value: number): void {
    this.u16(value & 0xffff);
    this.u16(value >>> 16);
  }

  u53(value: number): void {
    this.u32(value >>> 0);
    this.u32(Math.floor(value / TWO_32));
  }

  uvarint(value: number): void {
    let rest = value;
    while (rest > 0x7fff_ffff) {
      this.bytes[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  zigzag(value: number): void {
    this.uvarint(toZigzag(value));
  }

  /** False when `hex` is not 64 hex digits. */
  hash(hex: string): boolean {
    const written = this.bytes.write(hex, this.length, 32, 'hex');
    this.length += written;
    return written === 32 && hex.length === 64;
  }

  /** The bytes of `source` from `start` up to `end`. */
  copy(source: Buffer, start: number, end: number): void {
    for (let i = start; i < end; i++) this.bytes[this.length++] = source[i] as number;
  }

  /** UTF-8 behind its length. */
  text(text: string, byteLength: number): void {
    this.reserve(byteLength + UVARINT_BYTES_MAX);
    this.uvarint(byteLength);
    this.length += this.bytes.write(text, this.length, byteLength, 'utf8');
  }
}

/** As fromZigzag, for numbers below 2^31. */
export function fromShortZigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}

/** Signed numbers of at most 2^52 in size stay exact. */
export function toZigzag(value: number): number {
  return value >= 0 ? value * 2 : value * -2 - 1;
}

export function fromZigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : (value + 1) / -2;
}
