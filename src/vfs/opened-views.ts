import { LRUCache } from 'lru-cache';
import type { CommitId } from '../model/ids.js';
import { ROOT_KEY } from '../model/path.js';
import type { FrozenView } from '../repo/view.js';
import { andThen, type MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import { directoryAttributes, directoryDefaults } from './attributes.js';
import type { Attributes, DriverEvents, Handle, Inode } from './filesystem.js';
import { FrozenFilesystem } from './frozen-filesystem.js';
import { INODE_END, packedSpan } from './inodes.js';

/** Views kept open, so that one that is used again is at hand: some 10 MB of directories when full. */
const AWAKE_MAX = 64;

/** A directory that was looked up, with numbers of its own: [first, first + span). */
export interface Place {
  /** From the root of the mount, and with the commit that it leads to. */
  readonly key: string;
  readonly parent: Inode;
  readonly first: Inode;
  readonly span: number;
  readonly shows: ShownView | ShownTime;
  /** By the kernel. What is below counts for nothing: the kernel holds what is above as long. */
  holds: number;
}

export interface ShownView {
  readonly kind: 'view';
  /** As a user would name it. */
  readonly ref: string;
  readonly commit: CommitId;
  readonly entries: number;
  readonly root: Attributes;
}

/** All branches as they were then. */
export interface ShownTime {
  readonly kind: 'time';
  readonly time: string;
}

/** A place that shows a commit. */
export type ViewPlace = Place & { readonly shows: ShownView };

/** Opens a view again. */
export type OpenView = (ref: string, commit: CommitId, signal: AbortSignal) => Promise<FrozenView>;

/**
 * The directories of commits and times that somebody stands in, and the last ones that nobody does.
 * Each has a range of inode numbers of its own, which another gets only after all have had their turn.
 */
export class OpenedViews {
  readonly #open: OpenView;
  readonly #driver: () => DriverEvents | undefined;
  readonly #nextHandle: () => Handle;
  /** In order of their numbers. */
  readonly #places: Place[] = [];
  readonly #byKey = new Map<string, Place>();
  readonly #awake: LRUCache<Place, FrozenFilesystem>;
  readonly #start: Inode;
  #next: Inode;

  /** @param start the first number that they may have */
  constructor(
    start: Inode,
    open: OpenView,
    driver: () => DriverEvents | undefined,
    nextHandle: () => Handle,
  ) {
    this.#start = start;
    this.#next = start;
    this.#open = open;
    this.#driver = driver;
    this.#nextHandle = nextHandle;
    this.#awake = new LRUCache<Place, FrozenFilesystem>({
      max: AWAKE_MAX,
      dispose: (_filesystem, place) => {
        if (place.holds === 0) this.#drop(place);
      },
    });
  }

  /** How many there are. */
  get size(): number {
    return this.#places.length;
  }

  /** The place that has the number. */
  at(inode: Inode): Place | undefined {
    const place = this.#places[this.#firstAfter(inode) - 1];
    return place !== undefined && inode < place.first + place.span ? place : undefined;
  }

  /** The directory at `path` that leads to a commit, held once more. */
  async enter(
    path: string,
    parent: Inode,
    ref: string,
    commit: CommitId,
    signal: AbortSignal,
  ): Promise<ViewPlace> {
    const key = `${path}\0${commit}`;
    if (!this.#byKey.has(key)) {
      const view = await this.#open(ref, commit, signal);
      const { entries } = await view.totals(ROOT_KEY, signal);
      // Another look-up may have come first.
      if (!this.#byKey.has(key)) this.#enter(key, parent, ref, view, entries);
    }
    const place = this.#byKey.get(key) as ViewPlace;
    this.hold(place);
    return place;
  }

  /** As `enter`, of a moment. */
  enterTime(path: string, parent: Inode, time: string): Place {
    const shows: ShownTime = { kind: 'time', time };
    const place =
      this.#byKey.get(path) ??
      this.#add({ key: path, parent, first: this.#free(1), span: 1, shows, holds: 0 });
    this.hold(place);
    return place;
  }

  filesystem(place: ViewPlace, signal: AbortSignal): MaybePromise<FrozenFilesystem> {
    const { ref, commit } = place.shows;
    return (
      this.#awake.get(place) ??
      andThen(this.#open(ref, commit, signal), (view) => this.#wake(place, view))
    );
  }

  hold(place: Place): void {
    place.holds += 1;
  }

  letGo(place: Place, times: number): void {
    place.holds -= times;
    if (place.holds <= 0 && !this.#awake.has(place)) this.#drop(place);
  }

  #enter(key: string, parent: Inode, ref: string, view: FrozenView, entries: number): void {
    const { commitId: commit, commit: about } = view.source;
    const span = packedSpan(entries);
    const first = this.#free(span);
    const root = directoryAttributes(first, directoryDefaults(about));
    const shows: ShownView = { kind: 'view', ref, commit, entries, root };
    this.#wake(this.#add({ key, parent, first, span, shows, holds: 0 }), view);
  }

  #wake(place: Place, view: FrozenView): FrozenFilesystem {
    const filesystem = new FrozenFilesystem(view, this.#nextHandle);
    filesystem.connect({
      grant: (...bytes) => this.#driver()?.grant(...bytes),
      entryChanged: () => {},
      nodeChanged: () => {},
      heard: () => Promise.resolve(),
    });
    this.#awake.set(place, filesystem);
    return filesystem;
  }

  #add<P extends Place>(place: P): P {
    this.#places.splice(this.#firstAfter(place.first), 0, place);
    this.#byKey.set(place.key, place);
    this.#next = place.first + place.span;
    return place;
  }

  #drop(place: Place): void {
    if (this.#byKey.get(place.key) !== place) return;
    this.#byKey.delete(place.key);
    this.#places.splice(this.#firstAfter(place.first) - 1, 1);
  }

  /** So many numbers in a row that no place has. */
  #free(span: number): Inode {
    for (const from of [this.#next, this.#start]) {
      let first = from;
      // The one before may reach over it.
      let i = Math.max(0, this.#firstAfter(first) - 1);
      for (; i < this.#places.length; i += 1) {
        const taken = this.#places[i] as Place;
        if (taken.first >= first + span) break;
        first = Math.max(first, taken.first + taken.span);
      }
      if (first + span <= INODE_END) return first;
    }
    throw new TarnError('too-large', `no ${span} inode numbers are free in this mount`, {
      hint: 'leave some of its directories, or mount it once more',
    });
  }

  /** Index of the first place whose numbers are all greater than `inode`. */
  #firstAfter(inode: Inode): number {
    let [low, high] = [0, this.#places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#places[middle] as Place).first <= inode) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
