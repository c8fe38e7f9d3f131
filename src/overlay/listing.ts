import { andThen, isPromise, type MaybePromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import type { Key } from '../model/path.js';
import type { Base } from '../vfs/base.js';
import type { DirectoryWalk } from '../vfs/walk.js';
import type { NodeMemory } from './node-memory.js';
import { parentOf, prefixOf, type Node, type OwnName } from './nodes.js';

/** Positions: 0 is before `.`, then these, then 4 + the row of an own name, then the base's. */
const AFTER_DOT = 1;
const AFTER_DOT_DOT = 2;
const FIRST_OWN = 3;
/** Plus the ordinal to go on from. */
const FIRST_OF_BASE = 2 ** 41;
/** Hidden names passed between two turns of the event loop. */
const HIDDEN_A_TURN = 1000;

/** Takes a name; false when it has no room for it. */
export type TakeName = (name: Key, next: number, node: Node) => boolean;

/**
 * An open directory. Its own names are listed as they were when the listing was started, the rest
 * from the base of that time, entry by entry, so that a directory of a million files is not copied;
 * each as it is when its turn comes. A name that is there all the while is listed once.
 */
export class Listing {
  readonly #memory: NodeMemory;
  readonly #directory: Node;
  readonly #note: (mark: number) => void;
  /** In the order of their rows. */
  #own: readonly OwnName[] | undefined;
  #lastRow = 0;
  #base: Base | undefined;
  #prefix: Key | undefined;

  /**
   * @param note is told what `mark` is for a listing that goes on with this one
   * @param mark of a listing that was begun before; it goes on over the same names
   */
  constructor(memory: NodeMemory, directory: Node, note: (mark: number) => void, mark?: number) {
    this.#memory = memory;
    this.#directory = directory;
    this.#note = note;
    if (mark !== undefined) this.#start(mark);
  }

  /** From `offset` on until `take` has no room or the directory ends. */
  fill(offset: number, take: TakeName, signal: AbortSignal): MaybePromise<undefined> {
    if (offset === 0 || this.#own === undefined) {
      this.#start(this.#memory.lastNameRow);
      this.#note(this.#lastRow);
    }
    const directory = this.#directory;
    if (offset < AFTER_DOT && !take('.' as Key, AFTER_DOT, directory)) return undefined;
    const parent = parentOf(directory) ?? directory;
    if (offset < AFTER_DOT_DOT && !take('..' as Key, AFTER_DOT_DOT, parent)) return undefined;
    if (directory.isGone) return undefined;
    if (offset >= FIRST_OF_BASE) return this.#fillBase(offset - FIRST_OF_BASE, take, signal);
    return this.#fillOwn(this.#indexOf(offset - FIRST_OWN), take, signal);
  }

  #start(lastRow: number): void {
    const own = [...(this.#directory.directory?.own.values() ?? [])];
    this.#own = own.filter(({ row }) => row <= lastRow).sort((a, b) => a.row - b.row);
    this.#lastRow = lastRow;
    this.#base = this.#memory.base;
    this.#prefix = prefixOf(this.#directory);
  }

  /** Of the first own name whose row is `row` or a later one. */
  #indexOf(row: number): number {
    const own = this.#own ?? [];
    let from = 0;
    let to = own.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((own[middle] as OwnName).row < row) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  #fillOwn(from: number, take: TakeName, signal: AbortSignal): MaybePromise<undefined> {
    const own = this.#own ?? [];
    for (let i = from; i < own.length; i += 1) {
      const { name, node: before, row } = own[i] as OwnName;
      const next = FIRST_OWN + row + 1;
      if (before === undefined) continue;
      const found = this.#present(name, signal);
      if (isPromise(found)) {
        return found.then((node) => {
          const isTaken = node === undefined || take(name, next, node);
          return isTaken ? this.#fillOwn(i + 1, take, signal) : undefined;
        });
      }
      if (found !== undefined && !take(name, next, found)) return undefined;
    }
    return this.#fillBase(undefined, take, signal);
  }

  /** What is there now; of a name that became the base's meanwhile what that has. */
  #present(name: Key, signal: AbortSignal): MaybePromise<Node | undefined> {
    const own = this.#directory.directory?.own.get(name);
    if (own !== undefined) return own.node;
    if (this.#isAsStarted) return undefined;
    return this.#memory.child(this.#directory, name, signal);
  }

  get #isAsStarted(): boolean {
    return this.#base === this.#memory.base && prefixOf(this.#directory) === this.#prefix;
  }

  #fillBase(
    ordinal: number | undefined,
    take: TakeName,
    signal: AbortSignal,
  ): MaybePromise<undefined> {
    if (this.#base === undefined || this.#prefix === undefined) return undefined;
    const walk = this.#base.walk(this.#prefix, ordinal, signal);
    return andThen(walk, (started) => this.#walkOn(started, take, signal));
  }

  #walkOn(walk: DirectoryWalk, take: TakeName, signal: AbortSignal): MaybePromise<undefined> {
    for (let hidden = 0; ;) {
      const more = walk.advance();
      if (isPromise(more)) {
        return more.then((any) => (any ? this.#takeAndGoOn(walk, take, signal) : undefined));
      }
      if (!more) return undefined;
      const taken = this.#take(walk, take, signal);
      if (isPromise(taken)) {
        return taken.then((how) => (how === 'full' ? undefined : this.#walkOn(walk, take, signal)));
      }
      if (taken === 'full') return undefined;
      hidden = taken === 'hidden' ? hidden + 1 : 0;
      if (hidden >= HIDDEN_A_TURN) return giveWay().then(() => this.#walkOn(walk, take, signal));
    }
  }

  async #takeAndGoOn(walk: DirectoryWalk, take: TakeName, signal: AbortSignal): Promise<undefined> {
    const taken = await this.#take(walk, take, signal);
    return taken === 'full' ? undefined : this.#walkOn(walk, take, signal);
  }

  #take(
    walk: DirectoryWalk,
    take: TakeName,
    signal: AbortSignal,
  ): MaybePromise<'full' | 'taken' | 'hidden'> {
    const { name, resumeAt } = walk;
    const next = FIRST_OF_BASE + resumeAt;
    const give = (node: Node | undefined): 'full' | 'taken' | 'hidden' => {
      if (node === undefined) return 'hidden';
      return take(name, next, node) ? 'taken' : 'full';
    };
    const own = this.#directory.directory?.own.get(name);
    // One with a later row was not among the own names that were listed.
    if (own !== undefined) return give(own.row > this.#lastRow ? own.node : undefined);
    if (!this.#isAsStarted) {
      return andThen(this.#memory.child(this.#directory, name, signal), give);
    }
    const { kind, baseName, mode, size, mtimeSec, mtimeNsec } = walk;
    if (kind !== 'file' && kind !== 'directory' && kind !== 'symlink') return 'hidden';
    const base = { kind, baseName, mode, size, mtimeSec, mtimeNsec, hidesFile: false };
    return give(this.#memory.adopt(this.#directory, name, base));
  }
}
