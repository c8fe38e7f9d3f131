import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyToText, ROOT_KEY } from '../model/path.js';
import type { Span } from '../model/span.js';
import { spanOfKey } from '../model/span.js';
import { TarnError } from '../util/errors.js';

/**
 * A change of a tree. Edits come in the order of their keys and the starts of their spans, and spans
 * do not overlap. Edits of keys inside a span follow its replacement and apply on top of it.
 */
export type Edit =
  | { readonly kind: 'put'; readonly key: Key; readonly entry: Entry }
  /** Removing a key that is not there changes nothing. */
  | { readonly kind: 'remove'; readonly key: Key }
  /** What lies in `span` gives way to what `with` has there: to nothing when that is undefined. */
  | { readonly kind: 'replace'; readonly span: Span; readonly with?: Graft };

/**
 * The entries of `tree` whose keys start with `source`, each at the key that starts with `target`
 * in its place. Where that leaves no key at all, there is no entry.
 */
export interface Graft {
  readonly tree: NodeId;
  readonly source: Key;
  readonly target: Key;
}

/** Refuses edits that are out of order. */
export class EditOrder {
  #last: Key | undefined;
  /** What the next key, and the next span, must not start before. */
  #key = ROOT_KEY;
  #span: Key | undefined = ROOT_KEY;

  check(edit: Edit): void {
    const here = edit.kind === 'replace' ? edit.span.from : edit.key;
    const least = edit.kind === 'replace' ? this.#span : this.#key;
    if (least === undefined || here < least) this.#refuse(here);
    this.#last = here;
    this.#key = here;
    if (edit.kind !== 'replace') {
      this.#key = spanOfKey(here).to as Key;
      if (this.#span !== undefined && this.#span < this.#key) this.#span = this.#key;
    } else {
      const { from, to } = edit.span;
      this.#span = to !== undefined && to < from ? from : to;
    }
  }

  #refuse(here: Key): never {
    throw new TarnError(
      'invalid',
      `an edit of '${keyToText(here)}' follows one of '${keyToText(this.#last ?? ROOT_KEY)}': ` +
        'edits must come in key order, one for each key, and spans must not overlap',
    );
  }
}
