import type { EntryAttributes, ViewCursor } from '../model/cursor.js';
import type { Entry, Totals } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { ROOT_KEY } from '../model/path.js';
import type { Content } from '../repo/content.js';
import type { FrozenView, View, ViewSource } from '../repo/view.js';
import { prefixEnd } from '../model/path.js';
import { giveWay } from '../util/give-way.js';
import type { LiveHead } from './live-head.js';
import { spanOfKey, spanOfPrefix } from '../model/span.js';
import type { RemovedPrefix, StagedRow } from './staging.js';

/**
 * A branch with what is staged on it laid over its head. It is live: each call sees what is staged
 * then, and a walk goes on through a commit without showing an entry twice or losing one.
 */
export class StagedView implements View {
  readonly source: ViewSource;
  readonly #live: LiveHead;

  constructor(source: ViewSource, live: LiveHead) {
    this.source = source;
    this.#live = live;
  }

  async get(key: Key, signal?: AbortSignal): Promise<Entry | undefined> {
    const { rows, head } = await this.#live.page(spanOfKey(key), signal);
    const [row] = rows;
    if (row !== undefined) return row.entry;
    if (coveringPrefix(this.#live.removedPrefixes(), key) !== undefined) return undefined;
    return head.get(key, signal);
  }

  cursor(signal?: AbortSignal): ViewCursor {
    return new StagedCursor(this.#live, signal);
  }

  async totals(prefix: Key, signal?: AbortSignal): Promise<Totals> {
    const { head } = await this.#live.page({ from: prefix, to: prefix }, signal);
    const removed = this.#live.removedPrefixes();
    let { entries, bytes } = { entries: 0, bytes: 0 };
    if (coveringPrefix(removed, prefix) === undefined) {
      ({ entries, bytes } = await head.totals(prefix, signal));
      for (const row of removed.filter((inner) => inner.prefix.startsWith(prefix))) {
        const hidden = await head.totals(row.prefix, signal);
        entries -= hidden.entries;
        bytes -= hidden.bytes;
      }
    }
    for await (const { key, entry } of this.#rowsBelow(prefix, signal)) {
      const isHidden = coveringPrefix(removed, key) !== undefined;
      const before = isHidden ? undefined : await head.get(key, signal);
      entries += (entry === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
      bytes += sizeOf(entry) - sizeOf(before);
    }
    return { entries, bytes };
  }

  /** Any commit of the repository opens any of its contents. */
  async open(key: Key, entry: Entry): Promise<Content> {
    const { head } = await this.#live.page({ from: ROOT_KEY, to: ROOT_KEY });
    return head.open(key, entry);
  }

  async *#rowsBelow(prefix: Key, signal: AbortSignal | undefined): AsyncIterable<StagedRow> {
    const { to } = spanOfPrefix(prefix);
    for (let from = prefix; ;) {
      const { rows, isLast } = await this.#live.page({ from, to }, signal);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || isLast) return;
      from = `${last.key}\0` as Key;
      await giveWay();
    }
  }
}

function sizeOf(entry: Entry | undefined): number {
  return entry === undefined ? 0 : entrySize(entry);
}

/** The removed prefix that `key` begins with: none lies in another, so it is the last up to `key`. */
export function coveringPrefix(removed: readonly RemovedPrefix[], key: Key): Key | undefined {
  let low = 0;
  let high = removed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((removed[middle] as RemovedPrefix).prefix <= key) low = middle + 1;
    else high = middle;
  }
  const last = removed[low - 1]?.prefix;
  return last !== undefined && key.startsWith(last) ? last : undefined;
}

/** Walks the head and the staged rows side by side. */
class StagedCursor implements ViewCursor {
  readonly #live: LiveHead;
  readonly #signal: AbortSignal | undefined;

  #removed: readonly RemovedPrefix[] = [];
  #rows: readonly StagedRow[] = [];
  #index = 0;
  #isLastPage = true;
  #head: FrozenView | undefined;
  #headCursor: ViewCursor | undefined;
  #headValid = false;
  /** The staged row where the cursor is; undefined when it is on an entry of the head. */
  #current: { readonly key: Key; readonly entry: Entry } | undefined;

  constructor(live: LiveHead, signal: AbortSignal | undefined) {
    this.#live = live;
    this.#signal = signal;
  }

  get key(): Key {
    return this.#current?.key ?? this.#onHead().key;
  }

  entry(): Entry {
    return this.#current?.entry ?? this.#onHead().entry();
  }

  attributes(out: EntryAttributes): void {
    if (this.#current === undefined) return this.#onHead().attributes(out);
    const { entry } = this.#current;
    out.kind = entry.kind;
    out.size = entrySize(entry);
    out.mtimeSec = entry.mtimeSec;
    out.mtimeNsec = entry.mtimeNsec;
    out.mode = entry.mode;
  }

  async seek(key: Key): Promise<boolean> {
    await this.#loadPage(key);
    this.#headValid = await this.#onHead().seek(key);
    return this.#settle();
  }

  async next(): Promise<boolean> {
    if (this.#current === undefined) this.#headValid = await this.#onHead().next();
    else await this.#passRow(this.#current.key);
    return this.#settle();
  }

  /** To the first of what is visible from here on. */
  async #settle(): Promise<boolean> {
    for (;;) {
      const row = this.#rows[this.#index];
      if (row === undefined && !this.#isLastPage) {
        await this.#nextPage();
        continue;
      }
      const headKey = this.#headValid ? this.#onHead().key : undefined;
      if (headKey !== undefined && (await this.#skipRemoved(headKey))) continue;
      if (row === undefined || (headKey !== undefined && headKey < row.key)) {
        this.#current = undefined;
        return headKey !== undefined;
      }
      if (row.entry !== undefined) {
        this.#current = { key: row.key, entry: row.entry };
        return true;
      }
      await this.#passRow(row.key);
    }
  }

  /** Steps over a removed prefix in the head; true when there was one. */
  async #skipRemoved(headKey: Key): Promise<boolean> {
    const prefix = coveringPrefix(this.#removed, headKey);
    if (prefix === undefined) return false;
    const end = prefixEnd(prefix);
    this.#headValid = end !== undefined && (await this.#onHead().seek(end));
    return true;
  }

  /** Past the row, and past what the head has at its path. */
  async #passRow(key: Key): Promise<void> {
    this.#index += 1;
    if (this.#headValid && this.#onHead().key === key)
      this.#headValid = await this.#onHead().next();
  }

  async #nextPage(): Promise<void> {
    const last = this.#rows.at(-1) as StagedRow;
    const from = `${last.key}\0` as Key;
    const before = this.#head;
    await this.#loadPage(from);
    if (this.#head !== before) this.#headValid = await this.#onHead().seek(from);
  }

  async #loadPage(from: Key): Promise<void> {
    const { rows, isLast, head } = await this.#live.page({ from, to: undefined }, this.#signal);
    this.#removed = this.#live.removedPrefixes();
    this.#rows = rows;
    this.#index = 0;
    this.#isLastPage = isLast;
    if (this.#head === head) return;
    this.#head = head;
    this.#headCursor = head.cursor(this.#signal);
  }

  #onHead(): ViewCursor {
    return this.#headCursor as ViewCursor;
  }
}
