import { isUtf8 } from 'node:buffer';
import { URL_BYTES_MAX } from '../model/imported.js';
import type { Key } from '../model/path.js';
import { keyFromText, keyToText } from '../model/path.js';
import type { ByteReader } from './bytes.js';
import { ByteWriter, NodeFault } from './bytes.js';

/**
 * A row of a leaf's source table: the URL of an imported file is `base`, then its key from byte `cut`
 * on. So the files of one import share a row as long as they lie below the repository's folder as
 * they do below the imported one.
 */
export interface Source {
  readonly cut: number;
  /** One char for each byte of UTF-8. */
  readonly base: string;
}

const SLASH = 0x2f;
const ASCII = /^[\0-\x7f]*$/;

/**
 * The only row that may tell the URL at this key: what both have in common at their ends is as long
 * as it can be, and begins a component in both.
 */
export function sourceOf(key: Key, url: string): Source {
  const bytes = ASCII.test(url) ? url : keyFromText(url);
  let cut = key.length;
  let end = bytes.length;
  for (let at = cut, from = end; at > 0 && from > 1;) {
    if (key.charCodeAt(at - 1) !== bytes.charCodeAt(from - 1)) break;
    at--;
    from--;
    const begins = at === 0 || key.charCodeAt(at - 1) === SLASH;
    if (!begins || bytes.charCodeAt(from - 1) !== SLASH) continue;
    cut = at;
    end = from;
  }
  return { cut, base: bytes.slice(0, end) };
}

const NO_BYTES = Buffer.alloc(0);
/** Longest number in a row. */
const NUMBER_BYTES_MAX = 8;
/** Bytes of a base that weigh one: it stands in the leaf once, and many entries may share it. */
const BASE_BYTES_A_WEIGHT = 16;

/** What a source adds to the weight of an entry that names it. */
export function sourceWeight({ base }: Source): number {
  return Math.floor(base.length / BASE_BYTES_A_WEIGHT);
}

/** The source table of a leaf that is being written. */
export class SourceTable {
  readonly #rows = new Map<string, number>();
  #sources: Source[] = [];
  #last: Source | undefined;
  #lastRow = 0;

  get size(): number {
    return this.#sources.length;
  }

  /** The row of the URL at this key, and what it adds to the weight of the entry. */
  add(key: Key, url: string): { row: number; weight: number } {
    return this.addSource(sourceOf(key, url));
  }

  /** Whether each row that this table and that of `leaf` both have is the same in both. */
  agreesWith(leaf: {
    readonly sources: readonly SourceRow[];
    source(row: number): Source;
  }): boolean {
    const common = Math.min(this.#sources.length, leaf.sources.length);
    for (let row = 0; row < common; row++) {
      const [mine, its] = [this.#sources[row] as Source, leaf.source(row)];
      if (mine.cut !== its.cut || mine.base !== its.base) return false;
    }
    return true;
  }

  /** @param source as sourceOf gives it for the entry's key */
  addSource(source: Source): { row: number; weight: number } {
    const weight = sourceWeight(source);
    if (this.#last?.cut !== source.cut || this.#last.base !== source.base) {
      this.#lastRow = this.#rowOf(source);
      this.#last = source;
    }
    return { row: this.#lastRow, weight };
  }

  /** The table's bytes; the table starts anew. */
  finish(): Buffer {
    if (this.#sources.length === 0) return NO_BYTES;
    const out = new ByteWriter(1024);
    for (const { cut, base } of this.#sources) {
      out.reserve(2 * NUMBER_BYTES_MAX + base.length);
      out.uvarint(cut);
      out.uvarint(base.length);
      out.length += out.bytes.write(base, out.length, 'latin1');
    }
    this.#rows.clear();
    this.#sources = [];
    this.#last = undefined;
    return out.bytes.subarray(0, out.length);
  }

  #rowOf(source: Source): number {
    const name = `${source.cut} ${source.base}`;
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    const row = this.#sources.length;
    this.#rows.set(name, row);
    this.#sources.push(source);
    return row;
  }
}

/** Reads and checks the source table of a leaf: `count` rows. */
export function readSources(reader: ByteReader, count: number): SourceRow[] {
  const rows: SourceRow[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const cut = reader.uvarint();
    const length = reader.uvarint();
    const start = reader.skip(length);
    const end = start + length;
    if (length === 0 || length > URL_BYTES_MAX) throw new NodeFault('a source has a bad length');
    if (!isUtf8(reader.bytes.subarray(start, end))) {
      throw new NodeFault('a source is not valid UTF-8');
    }
    names.add(`${cut} ${reader.bytes.toString('latin1', start, end)}`);
    rows.push({ cut, start, end });
  }
  if (names.size !== count) throw new NodeFault('it names a source twice');
  return rows;
}

export function urlOf({ cut, base }: Source, key: Key): string {
  const bytes = base + key.slice(cut);
  return ASCII.test(bytes) ? bytes : keyToText(bytes as Key);
}

/** A row as it stands in a node's bytes. */
export interface SourceRow {
  readonly cut: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Refuses a row that is not what sourceOf gives for the URL that it tells at this key.
 * @param key its first `length` bytes
 */
export function checkSource(bytes: Buffer, row: SourceRow, key: Buffer, length: number): void {
  const { cut, start, end } = row;
  if (cut > length) throw new NodeFault('an entry has a source that needs a longer key');
  if (end - start + length - cut > URL_BYTES_MAX) throw new NodeFault('a URL is too long');
  if (cut < length) {
    const begins = cut === 0 || key[cut - 1] === SLASH;
    if (!begins || bytes[end - 1] !== SLASH) {
      throw new NodeFault('a source does not end where a component of the key begins');
    }
    for (let i = cut; i < length; i++) {
      if ((key[i] as number) < 0x80) continue;
      if (isUtf8(key.subarray(cut, length))) break;
      throw new NodeFault('a URL is not valid UTF-8');
    }
  }
  if (cut > 0 && endsWithComponent(bytes, row, key)) {
    throw new NodeFault('a source shares less of the key than it could');
  }
}

/** Whether the row's base ends with a `/` and the component in front of the cut. */
function endsWithComponent(bytes: Buffer, { cut, start, end }: SourceRow, key: Buffer): boolean {
  let from = end;
  for (let at = cut; at > 0 && from > start + 1 && key[at - 1] === bytes[from - 1];) {
    at--;
    from--;
    if (at === 0 || key[at - 1] === SLASH) return bytes[from - 1] === SLASH;
  }
  return false;
}

/** Whether two leaves have the same source table, so that equal rows mean equal sources. */
export function haveSameSources(a: LeafSources, b: LeafSources): boolean {
  if (a.sources.length !== b.sources.length) return false;
  return a.sources.every((row, i) => {
    const other = b.sources[i] as SourceRow;
    const isSame = row.cut === other.cut && row.end - row.start === other.end - other.start;
    return isSame && a.bytes.compare(b.bytes, other.start, other.end, row.start, row.end) === 0;
  });
}

interface LeafSources {
  readonly bytes: Buffer;
  readonly sources: readonly SourceRow[];
}
