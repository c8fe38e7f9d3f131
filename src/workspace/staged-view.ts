import type { EntryAttributes, ViewCursor } from '../model/cursor.js';
import type { Entry, Totals } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { ROOT_KEY } from '../model/path.js';
import type { Content } from '../repo/content.js';
import { spanOfKey, spanOfPrefix } from '../model/span.js';
import type { FrozenView, View, ViewSource } from '../repo/view.js';
import type { MaybePromise } from '../util/async.js';
import { isPromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import type { Layers } from './live-head.js';
import type { StagedRow } from './staging.js';

/**
 * A branch with what is staged on it laid over its head. It is live: each call sees what is staged
 * then, and a walk goes on through a commit without showing an entry twice or losing one.
 */
export class StagedView implements View {
  readonly source: ViewSource;
  readonly #live: Layers;

  constructor(source: ViewSource, live: Layers) {
    this.source = source;
    this.#live = live;
  }

  async get(key: Key, signal?: AbortSignal): Promise<Entry | undefined> {
    const { rows, under } = await this.#live.page(spanOfKey(key), signal);
    const [row] = rows;
    return row === undefined ? under.get(key, signal) : row.entry;
  }

  cursor(signal?: AbortSignal): ViewCursor {
    return new StagedCursor(this.#live, signal);
  }

  async totals(prefix: Key, signal?: AbortSignal): Promise<Totals> {
    for (;;) {
      const totals = await this.#totalsOfMoment(prefix, signal);
      if (totals !== undefined) return totals;
    }
  }

  /** Any commit of the repository opens any of its contents. */
  async open(key: Key, entry: Entry): Promise<Content> {
    const { under } = await this.#live.page({ from: ROOT_KEY, to: ROOT_KEY });
    return under.open(key, entry);
  }

  /** Undefined when rows left staging while they were counted. */
  async #totalsOfMoment(prefix: Key, signal: AbortSignal | undefined): Promise<Totals | undefined> {
    const { to } = spanOfPrefix(prefix);
    let page = await this.#live.page({ from: prefix, to }, signal);
    const { under } = page;
    let { entries, bytes } = await under.totals(prefix, signal);
    for (;;) {
      for (const { key, entry } of page.rows) {
        const found = under.get(key, signal);
        const before = isPromise(found) ? await found : found;
        entries += (entry === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
        bytes += sizeOf(entry) - sizeOf(before);
      }
      const last = page.rows.at(-1);
      if (last === undefined || page.isLast) return { entries, bytes };
      await giveWay();
      page = await this.#live.page({ from: `${last.key}\0` as Key, to }, signal);
      if (page.under !== under) return undefined;
    }
  }
}

function sizeOf(entry: Entry | undefined): number {
  return entry === undefined ? 0 : entrySize(entry);
}

/** Walks what is below the rows and the rows side by side. */
class StagedCursor implements ViewCursor {
  readonly #live: Layers;
  readonly #signal: AbortSignal | undefined;

  #rows: readonly StagedRow[] = [];
  #index = 0;
  #isLastPage = true;
  #under: FrozenView | undefined;
  #underCursor: ViewCursor | undefined;
  #underValid = false;
  /** The staged row where the cursor is; undefined when it is on an entry below the rows. */
  #current: { readonly key: Key; readonly entry: Entry } | undefined;

  constructor(live: Layers, signal: AbortSignal | undefined) {
    this.#live = live;
    this.#signal = signal;
  }

  get key(): Key {
    return this.#current?.key ?? this.#below().key;
  }

  entry(): Entry {
    return this.#current?.entry ?? this.#below().entry();
  }

  attributes(out: EntryAttributes): void {
    if (this.#current === undefined) return this.#below().attributes(out);
    const { entry } = this.#current;
    out.kind = entry.kind;
    out.size = entrySize(entry);
    out.mtimeSec = entry.mtimeSec;
    out.mtimeNsec = entry.mtimeNsec;
    out.mode = entry.mode;
  }

  async seek(key: Key): Promise<boolean> {
    await this.#loadPage(key);
    this.#underValid = await this.#below().seek(key);
    return this.#settle();
  }

  next(): MaybePromise<boolean> {
    if (this.#current !== undefined) return this.#nextBehindRow(this.#current.key);
    const moved = this.#below().next();
    if (isPromise(moved)) return moved.then((valid) => this.#arrive(valid));
    return this.#arrive(moved);
  }

  /** No promise where the next one is below the rows and at hand. */
  #arrive(valid: boolean): MaybePromise<boolean> {
    this.#underValid = valid;
    const row = this.#rows[this.#index];
    if (valid && (row === undefined ? this.#isLastPage : this.#below().key < row.key)) return true;
    return this.#settle();
  }

  async #nextBehindRow(key: Key): Promise<boolean> {
    await this.#passRow(key);
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
      const underKey = this.#underValid ? this.#below().key : undefined;
      if (row === undefined || (underKey !== undefined && underKey < row.key)) {
        this.#current = undefined;
        return underKey !== undefined;
      }
      if (row.entry !== undefined) {
        this.#current = { key: row.key, entry: row.entry };
        return true;
      }
      await this.#passRow(row.key);
    }
  }

  /** Past the row, and past what lies below it at its path. */
  async #passRow(key: Key): Promise<void> {
    this.#index += 1;
    if (this.#underValid && this.#below().key === key)
      this.#underValid = await this.#below().next();
  }

  async #nextPage(): Promise<void> {
    const last = this.#rows.at(-1) as StagedRow;
    const from = `${last.key}\0` as Key;
    const before = this.#under;
    await this.#loadPage(from);
    if (this.#under !== before) this.#underValid = await this.#below().seek(from);
  }

  async #loadPage(from: Key): Promise<void> {
    const { rows, isLast, under } = await this.#live.page({ from, to: undefined }, this.#signal);
    this.#rows = rows;
    this.#index = 0;
    this.#isLastPage = isLast;
    if (this.#under === under) return;
    this.#under = under;
    this.#underCursor = under.cursor(this.#signal);
  }

  #below(): ViewCursor {
    return this.#underCursor as ViewCursor;
  }
}
