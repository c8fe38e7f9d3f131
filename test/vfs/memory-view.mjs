// A FrozenView over a sorted array, for tests. Plain JavaScript, so that child processes that serve
// mounts can use it without a build.
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BLOCK_BYTES = 1_048_576;
/** Where the bytes start in the backing file of a view whose backing is 'granted'. */
const GRANTED_OFFSET = 4096;

export class MemoryView {
  source;
  opened = 0;
  reads = [];
  steps = 0;
  #entries;
  #bytes;
  #options;
  #directory;

  constructor(files, options = {}) {
    this.#options = { slow: false, backing: 'none', ...options };
    this.#bytes = new Map();
    this.#entries = files.map((file) => this.#entryOf(file));
    this.#entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    this.source = {
      repository: 'drive',
      ref: 'prod-2025-08-15',
      commitId: 'c0ffee'.repeat(11).slice(0, 64),
      commit: {
        tree: 'ab'.repeat(32),
        parents: [],
        author: 'Ada <ada@example.org>',
        dateMs: Date.parse('2025-06-14T18:30:00.250Z'),
        message: 'Freeze run-8421',
        metadata: { vehicle: 'ego-7', weather: 'low sun' },
        ...options.commit,
      },
    };
  }

  get(key) {
    return this.#answer(this.#entries.find((e) => e.key === key)?.entry);
  }

  totals(prefix) {
    const below = this.#entries.filter((e) => e.key.startsWith(prefix));
    return this.#answer({
      entries: below.length,
      bytes: below.reduce((sum, { entry }) => sum + sizeOf(entry), 0),
    });
  }

  rank(key) {
    return this.#answer(this.#firstAt(key));
  }

  select(ordinal) {
    return this.#answer(this.#entries[ordinal]);
  }

  cursor() {
    return new MemoryCursor(
      this.#entries,
      (key) => this.#firstAt(key),
      (value) => {
        this.steps += 1;
        return this.#answer(value);
      },
    );
  }

  open(key, entry) {
    const bytes = this.#bytes.get(key) ?? this.#bytesOf(entry.content);
    this.opened += 1;
    return this.#answer(new MemoryContent(this, key, entry, bytes, this.#options));
  }

  /** A directory for backing files, removed by dispose. */
  scratch() {
    this.#directory ??= mkdtempSync(join(tmpdir(), 'tarn-memory-view-'));
    return this.#directory;
  }

  dispose() {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true });
  }

  #answer(value) {
    return this.#options.slow ? Promise.resolve(value) : value;
  }

  #firstAt(key) {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle].key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** As a repository, it opens whatever has the content. */
  #bytesOf(content) {
    return this.#bytes.get(this.#entries.find(({ entry }) => entry.content === content)?.key);
  }

  #entryOf(file) {
    const key = file.key ?? Buffer.from(file.path, 'utf8').toString('latin1');
    const mtimeMs = file.mtimeMs ?? 1_700_000_000_123;
    const mtimeSec = Math.floor(mtimeMs / 1000);
    const base = { mtimeSec, mtimeNsec: (mtimeMs - mtimeSec * 1000) * 1e6 };
    if (file.symlink !== undefined) {
      return { key, entry: { ...base, kind: 'symlink', mode: 0o777, target: file.symlink } };
    }
    const bytes = Buffer.from(file.bytes ?? '');
    this.#bytes.set(key, bytes);
    const content = contentIdOf(bytes);
    const address = { kind: bytes.length === 0 ? 'none' : 'whole' };
    const entry = { ...base, kind: 'file', mode: file.mode ?? 0o644, size: bytes.length };
    const extra = file.metadata === undefined ? {} : { metadata: file.metadata };
    if (file.contentType !== undefined) extra.contentType = file.contentType;
    return { key, entry: { ...entry, content, address, ...extra } };
  }
}

class MemoryCursor {
  ordinal = -1;
  #entries;
  #firstAt;
  #answer;

  constructor(entries, firstAt, answer) {
    this.#entries = entries;
    this.#firstAt = firstAt;
    this.#answer = answer;
  }

  seek(key) {
    return this.seekOrdinal(this.#firstAt(key));
  }

  seekOrdinal(ordinal) {
    this.ordinal = Math.min(ordinal, this.#entries.length);
    return this.#answer(this.ordinal < this.#entries.length);
  }

  next() {
    return this.seekOrdinal(this.ordinal + 1);
  }

  get key() {
    return this.#entries[this.ordinal].key;
  }

  entry() {
    return this.#entries[this.ordinal].entry;
  }

  attributes(out) {
    const entry = this.entry();
    out.kind = entry.kind;
    out.size = sizeOf(entry);
    out.mtimeSec = entry.mtimeSec;
    out.mtimeNsec = entry.mtimeNsec;
    out.mode = entry.mode;
  }
}

class MemoryContent {
  id;
  size;
  closed = false;
  #view;
  #key;
  #bytes;
  #backing;
  #slow;
  #onRead;

  constructor(view, key, entry, bytes, options) {
    this.#view = view;
    this.#key = key;
    this.#bytes = bytes;
    this.#slow = options.slow;
    this.#onRead = options.onRead;
    this.id = entry.content;
    this.size = bytes.length;
    if (options.backing !== 'none') this.#backing = this.#makeBacking(options.backing);
  }

  async read(offset, length, signal) {
    signal?.throwIfAborted();
    if (this.closed) throw new Error(`read of ${this.#key} after close`);
    this.#view.reads.push({ key: this.#key, offset, length });
    await this.#onRead?.(this.#key, offset, signal);
    if (this.closed) throw new Error(`${this.#key} was closed under a read`);
    return Uint8Array.from(this.#bytes.subarray(offset, offset + length));
  }

  backing() {
    return this.#slow ? Promise.resolve(this.#backing) : this.#backing;
  }

  close() {
    if (this.closed) throw new Error(`${this.#key} was closed twice`);
    this.closed = true;
    this.#view.opened -= 1;
    if (this.#backing !== undefined) closeSync(this.#backing.fd);
  }

  #makeBacking(kind) {
    const exact = kind === 'exact';
    const offset = exact ? 0 : GRANTED_OFFSET;
    const path = join(this.#view.scratch(), `${this.id.slice(7)}-${kind}`);
    // Once: writing again would cut the file short under those who have it open.
    if (!existsSync(path)) {
      writeFileSync(path, Buffer.concat([Buffer.alloc(offset, '#'), this.#bytes]));
    }
    return { fd: openSync(path, 'r'), offset, exact, verified: exact };
  }
}

function sizeOf(entry) {
  return entry.kind === 'symlink' ? Buffer.byteLength(entry.target) : entry.size;
}

/** Not the real manifest hash of a long file: nothing here compares it with one. */
function contentIdOf(bytes) {
  const hash = createHash('sha256').update(bytes).digest('hex');
  return `${bytes.length <= BLOCK_BYTES ? 'sha256' : 'merkle'}:${hash}`;
}
