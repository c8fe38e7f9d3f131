import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { isPromise, type MaybePromise } from '../util/async.js';
import type { NodeMemory, Slot } from './node-memory.js';
import { prefixOf, type Node } from './nodes.js';

/** Thrown by Facts where an answer must be waited for, and caught by atomically(). */
class NotAtHand extends Error {
  readonly arrival: Promise<unknown>;

  constructor(arrival: Promise<unknown>) {
    super('an answer must be waited for');
    this.arrival = arrival;
  }
}

/**
 * What an operation asks of the base. Each answer is at hand when it is given; if it is not, the
 * operation is left (nothing is changed by then), and tried again once the answer is there.
 */
export class Facts {
  readonly #overlay: NodeMemory;
  readonly #signal: AbortSignal;
  readonly #slots: Slot[] = [];
  readonly #entries: { readonly key: Key; readonly generation: number; readonly entry: Entry }[] =
    [];
  readonly #empty: {
    readonly directory: Node;
    readonly prefix: Key;
    readonly generation: number;
    readonly isEmpty: boolean;
  }[] = [];
  /** Nodes that were looked at: those that nobody uses are let go of at the end. */
  readonly #seen = new Set<Node>();

  constructor(overlay: NodeMemory, signal: AbortSignal) {
    this.#overlay = overlay;
    this.#signal = signal;
  }

  slot(directory: Node, name: Key): Slot {
    const isIt = (slot: Slot): boolean => slot.directory === directory && slot.name === name;
    const known = this.#slots.find((slot) => isIt(slot) && this.#overlay.isCurrent(slot));
    if (known !== undefined) return known;
    return this.#await(this.#overlay.slot(directory, name, this.#signal), (slot) => {
      this.#slots.push(slot);
    });
  }

  nodeIn(slot: Slot): Node | undefined {
    const node = this.#overlay.nodeIn(slot);
    if (node !== undefined) this.#seen.add(node);
    return node;
  }

  /** That what is known of the node is of the present base. */
  fresh(node: Node): void {
    this.#await(this.#overlay.refresh(node, this.#signal), () => {});
  }

  /** As NodeMemory.entryOf. */
  entry(node: Node): Entry | undefined {
    const { generation } = this.#overlay.base;
    const key = this.#overlay.keyOf(node);
    const known = this.#entries.find((one) => one.key === key && one.generation === generation);
    if (known !== undefined && node.state === undefined) return known.entry;
    return this.#await(this.#overlay.entryOf(node, this.#signal), (entry) => {
      if (entry !== undefined && key !== undefined) this.#entries.push({ key, generation, entry });
    });
  }

  isEmpty(directory: Node): boolean {
    const names = directory.directory;
    if (names === undefined || names.live > 0) return false;
    const prefix = prefixOf(directory);
    if (prefix === undefined) return true;
    const { base } = this.#overlay;
    const { generation } = base;
    // Own names only ever hide more of the same base; and what was seen not to be empty was so.
    const known = this.#empty.find(
      (one) =>
        one.directory === directory && one.prefix === prefix && one.generation === generation,
    );
    if (known !== undefined) return known.isEmpty;
    const shows = base.shows(prefix, (name) => !names.own.has(name), this.#signal);
    return this.#await(
      shows.then((any) => !any),
      (isEmpty) => {
        this.#empty.push({ directory, prefix, generation, isEmpty });
      },
    );
  }

  end(): void {
    for (const node of this.#seen) this.#overlay.tidy(node);
  }

  #await<T>(answer: MaybePromise<T>, keep: (answer: T) => void): T {
    if (isPromise(answer)) throw new NotAtHand(answer.then(keep));
    keep(answer);
    return answer;
  }
}

/**
 * Runs `attempt` in one step of the event loop, after as many others as it takes until all that it
 * asks of `facts` is at hand. It changes nothing before it has asked for all it needs.
 */
export function atomically<T>(
  overlay: NodeMemory,
  signal: AbortSignal,
  attempt: (facts: Facts) => T,
): MaybePromise<T> {
  return again(new Facts(overlay, signal), attempt);
}

function again<T>(facts: Facts, attempt: (facts: Facts) => T): MaybePromise<T> {
  try {
    const result = attempt(facts);
    facts.end();
    return result;
  } catch (error) {
    if (error instanceof NotAtHand) return error.arrival.then(() => again(facts, attempt));
    facts.end();
    throw error;
  }
}
