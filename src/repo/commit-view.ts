import type { FrozenCursor } from '../model/cursor.js';
import type { Entry, KeyedEntry, Totals } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import type { ReadTally } from '../store/traffic.js';
import type { Tree } from '../tree/tree.js';
import type { MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import type { ContentReader } from './content-reader.js';
import type { Content } from './content.js';
import type { FrozenView, ViewSource } from './view.js';

/** A commit as a view: its tree for what there is, the content reader for the bytes. */
export class CommitView implements FrozenView {
  readonly source: ViewSource;
  readonly #tree: Tree;
  readonly #contents: ContentReader;
  readonly #tally: ReadTally | undefined;

  /** @param tally counts what is read of contents */
  constructor(source: ViewSource, tree: Tree, contents: ContentReader, tally?: ReadTally) {
    this.source = source;
    this.#tree = tree;
    this.#contents = contents;
    this.#tally = tally;
  }

  get(key: Key, signal?: AbortSignal): MaybePromise<Entry | undefined> {
    return this.#tree.get(key, signal);
  }

  cursor(signal?: AbortSignal): FrozenCursor {
    return this.#tree.cursor(signal);
  }

  totals(prefix: Key, signal?: AbortSignal): MaybePromise<Totals> {
    return prefix === '' ? this.#tree.totals() : this.#tree.totalsOf(prefix, signal);
  }

  rank(key: Key, signal?: AbortSignal): MaybePromise<number> {
    return this.#tree.rank(key, signal);
  }

  select(ordinal: number, signal?: AbortSignal): MaybePromise<KeyedEntry | undefined> {
    return this.#tree.select(ordinal, signal);
  }

  open(key: Key, entry: Entry): Content {
    if (entry.kind === 'file') return this.#contents.open(entry, this.#tally);
    throw new TarnError('invalid', `'${keyToText(key)}' is a symlink, which has no content`, {
      hint: `it points to '${entry.target}'`,
    });
  }
}
