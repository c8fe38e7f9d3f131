import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { throwIfAborted } from '../../util/abort.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import { inGroups } from '../../util/async.js';
import { isKey } from '../keys.js';
import type { ObjectInfo, ObjectStore } from '../object-store.js';
import type {
  Attachments,
  BranchRenaming,
  RecordedChange,
  RecordKind,
  Ref,
  RefChange,
  RefKind,
  RefMoment,
  RefStore,
  RefTarget,
} from '../ref-store.js';
import { RENAME } from '../ref-store.js';
import type { RefObject, StoredChange } from './ref-object.js';
import { ATTACHED_BYTES_MAX, decodeRef, encodeRef } from './ref-object.js';
import { RefPast, withChange } from './ref-past.js';

const PREFIX = 'refs/';
/** No name of users' begins so. */
const OWN_PREFIX = `${PREFIX}-`;
const HELD_MAX = 1_024;
const LISTED_AT_ONCE_MAX = 32;
const ATTEMPTS_MAX = 50;

/** A name's object as it was read or written last. */
interface Held {
  readonly object: RefObject;
  /** Undefined where there is no object. */
  readonly etag: string | undefined;
}

/**
 * Refs of a repository in an object store, by its conditional puts alone: one small object a name,
 * with the newest changes in it. So a change is one put, and a name has one ref, whatever its kind.
 *
 * A renaming changes two objects in one step: first the new name is written with the renaming
 * *pending*, which changes nothing; then the old name's object is replaced by one that says where it
 * went, if it is still the one that the pending side names. That is the step. Whoever reads the new
 * name looks there; whoever writes one of the two names settles it first: the renaming that was done
 * becomes a change like any other, and one that was not done can no more be.
 */
export class ObjectRefStore implements RefStore {
  readonly #objects: ObjectStore;
  readonly #past: RefPast;
  readonly #held = new LRUCache<string, Held>({ max: HELD_MAX });
  readonly #onMissing: ((signal?: AbortSignal) => Promise<void>) | undefined;
  #attachments: Attachments | undefined;

  /** @param onMissing called before a name of users' is said to be unused; what it throws is said instead */
  constructor(objects: ObjectStore, onMissing?: (signal?: AbortSignal) => Promise<void>) {
    this.#objects = objects;
    this.#past = new RefPast(objects);
    this.#onMissing = onMissing;
  }

  async get<K extends RecordKind>(
    kind: K,
    name: string,
    signal?: AbortSignal,
  ): Promise<RefTarget<K> | undefined> {
    throwIfAborted(signal);
    return targetOf(await this.#state(name, signal), kind);
  }

  async find(name: string, signal?: AbortSignal): Promise<Ref | undefined> {
    throwIfAborted(signal);
    const state = await this.#state(name, signal);
    for (const kind of ['branch', 'tag'] as const) {
      const commit = targetOf(state, kind);
      if (commit !== undefined) return { kind, name, commit };
    }
    return undefined;
  }

  async *list(
    kind: RefKind,
    options: { after?: string; signal?: AbortSignal } = {},
  ): AsyncIterable<Ref> {
    const { after = '', signal } = options;
    throwIfAborted(signal);
    const from = { after: `${PREFIX}${after}`, ...(signal === undefined ? {} : { signal }) };
    for await (const infos of inGroups(this.#objects.list(PREFIX, from), LISTED_AT_ONCE_MAX)) {
      const named = infos.filter(({ key }) => !key.startsWith(OWN_PREFIX));
      const states = await Promise.all(named.map((info) => this.#listed(info, signal)));
      for (const state of states) {
        const commit = targetOf(state, kind);
        if (commit !== undefined) yield { kind, name: state.name, commit };
      }
    }
  }

  async compareAndSwap<K extends RecordKind>(
    change: RefChange<K>,
    signal?: AbortSignal,
  ): Promise<'done' | 'moved'> {
    throwIfAborted(signal);
    const { kind, name, expected, next, by, atMs, why } = change;
    // What was read last will do, and that there is no name yet: the put finds out whether it is so.
    const known = expected === undefined ? unused(name) : this.#held.get(name);
    let held =
      known !== undefined && targetOf(known.object, kind) === expected
        ? known
        : await this.#settled(name, signal);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (expected === undefined) checkFree(held.object, kind);
      if (targetOf(held.object, kind) !== expected) return 'moved';
      const ends = { ...(expected && { expected }), ...(next && { next }) };
      const made = changeOf(held.object, { kind, ...ends, by, atMs, why });
      if (await this.#append(held, made, signal)) return 'done';
      // Where the put failed the object was read, and most often it can be told from that.
      const found = this.#held.get(name);
      if (found !== undefined && targetOf(found.object, kind) !== expected) return 'moved';
      held = await this.#settled(name, signal);
    }
    throw restless(name);
  }

  async rename(renaming: BranchRenaming, signal?: AbortSignal): Promise<'done' | 'moved'> {
    throwIfAborted(signal);
    const { from, to, commit } = renaming;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const [old, taken] = await Promise.all([
        this.#settled(from, signal),
        this.#settled(to, signal),
      ]);
      if (targetOf(old.object, 'branch') !== commit) return 'moved';
      checkFree(taken.object);
      if (await this.#tryRename(renaming, old, taken, signal)) return 'done';
    }
    throw restless(from);
  }

  async *history<K extends RecordKind>(
    kind: K,
    name: string,
    options: { before?: number; signal?: AbortSignal } = {},
  ): AsyncIterable<RecordedChange<K>> {
    const { before: below = Infinity, signal } = options;
    throwIfAborted(signal);
    const state = await this.#state(name, signal);
    for await (const change of this.#past.backwards(state, { below }, signal)) {
      if (change.kind === kind) yield recorded<K>(name, change);
    }
  }

  async at<K extends RecordKind>(
    kind: K,
    name: string,
    atMs: number,
    signal?: AbortSignal,
  ): Promise<RefMoment<K>> {
    throwIfAborted(signal);
    let gone: RefMoment<K> | undefined;
    let below = Infinity;
    for (let known = name; ;) {
      const state = await this.#state(known, signal);
      const range = { below, untilMs: atMs };
      const then = await firstOfKind(this.#past.backwards(state, range, signal), kind);
      if (then?.next !== undefined) return { kind: 'at', target: then.next as RefTarget<K> };
      if (then !== undefined) gone ??= { kind: 'gone', change: recorded<K>(known, then) };
      const later = this.#past.forwards(state, then?.number ?? 0, signal);
      const next = await firstOfKind(later, kind);
      if (next === undefined || next.number >= below) {
        return gone ?? { kind: 'unrecorded', first: undefined };
      }
      if (next.next === undefined || next.renamed === undefined) {
        return gone ?? { kind: 'unrecorded', first: recorded<K>(known, next) };
      }
      known = next.renamed.name;
      below = next.renamed.number + 1;
    }
  }

  attach(attachments: Attachments): void {
    this.#attachments = attachments;
  }

  /** Nothing is held but what may be forgotten; the objects are the repository's to close. */
  async close(): Promise<void> {
    this.#held.clear();
  }

  /** The name's changes, a renaming that was done and is not settled included. */
  async #state(name: string, signal: AbortSignal | undefined): Promise<RefObject> {
    return this.#withPending((await this.#read(name, signal)).object, signal);
  }

  async #withPending(object: RefObject, signal: AbortSignal | undefined): Promise<RefObject> {
    if (object.pending === undefined) return object;
    const { come } = object.pending;
    const other = await this.#read(otherOf(come), signal);
    if (!isNewest(other.object, come)) return object;
    return { ...object, changes: [come, ...object.changes] };
  }

  /** What a listing names, got only where it is not at hand. */
  async #listed({ key, etag }: ObjectInfo, signal: AbortSignal | undefined): Promise<RefObject> {
    const name = key.slice(PREFIX.length);
    const held = this.#held.get(name);
    if (held?.etag === etag) return this.#withPending(held.object, signal);
    return this.#state(name, signal);
  }

  async #read(name: string, signal: AbortSignal | undefined): Promise<Held> {
    const key = keyOf(name);
    // A name that no ref can have.
    const found = isKey(key) ? await this.#objects.getTagged(key, signal) : undefined;
    if (found === undefined) {
      // The settings are missing in most repositories.
      if (!isOwn(name)) await this.#onMissing?.(signal);
      return unused(name);
    }
    const known = this.#held.get(name);
    if (known?.etag === found.etag) return known;
    const what = `'${key}' in '${this.#objects.url}'`;
    const object = decodeRef(found.bytes, name, what);
    const held = { object, etag: found.etag };
    this.#held.set(name, held);
    const { changes, attached } = object;
    if (attached !== undefined && changes[0]?.next !== undefined) {
      this.#attachments?.found(changes[0].kind, changes[0].next, attached);
    }
    return held;
  }

  /** With what there is to be attached to where its newest change points. */
  #withAttached({ attached: _, ...object }: RefObject): RefObject {
    const [newest] = object.changes;
    if (newest?.next === undefined) return object;
    const attached = this.#attachments?.of(newest.kind, newest.next);
    if (attached === undefined || Buffer.byteLength(attached) > ATTACHED_BYTES_MAX) return object;
    return { ...object, attached };
  }

  /** Reads a name that is to be written, and ends what others began on it. */
  async #settled(name: string, signal: AbortSignal | undefined): Promise<Held> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const held = await this.#read(name, signal);
      const { pending, changes } = held.object;
      const [newest] = changes;
      if (pending !== undefined) {
        await this.#settle(held, pending.come, pending.etag, signal);
      } else if (newest?.renamed === undefined || newest.next !== undefined) {
        return held;
      } else {
        // It tells that a renaming was done; what it is told to must not need it any more.
        const other = await this.#read(newest.renamed.name, signal);
        const { pending: waiting } = other.object;
        if (waiting?.come.id !== newest.id) return held;
        await this.#settle(other, waiting.come, waiting.etag, signal);
      }
    }
    throw restless(name);
  }

  /** Does away with the renaming that is pending; where others are faster, without effect. */
  async #settle(
    held: Held,
    come: StoredChange,
    etag: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const other = await this.#read(otherOf(come), signal);
    if (isNewest(other.object, come)) {
      await this.#append(held, come, signal);
      return;
    }
    // While the other name's object is what it was, whoever began can still end it.
    if (other.etag === etag && !(await this.#put(other, fenced(other.object), signal))) return;
    await this.#put(held, fenced(held.object), signal);
  }

  async #tryRename(
    { from, to, commit, by, atMs }: BranchRenaming,
    old: Held,
    taken: Held,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (old.etag === undefined) return false;
    const both = { kind: 'branch', by, why: RENAME } as const;
    const there = changeOf(taken.object, { ...both, next: commit, atMs });
    const here = changeOf(old.object, { ...both, expected: commit, atMs: there.atMs });
    const shared = { id: here.id, atMs: here.atMs };
    const away = { ...here, renamed: { name: to, number: there.number } };
    const come = { ...there, ...shared, renamed: { name: from, number: here.number } };
    const { name, changes, older } = taken.object;
    const waiting = { name, changes, older, pending: { come, etag: old.etag } };
    const pending = await this.#put(taken, waiting, signal);
    if (pending === undefined) return false;
    const isDone = await this.#append(old, away, signal);
    // Either is for the next writer to do where it fails now.
    const settling = isDone
      ? this.#append(pending, come, signal)
      : this.#put(pending, fenced(pending.object), signal);
    await settling.catch(() => undefined);
    return isDone;
  }

  /** One change more; false when another writer was faster. */
  async #append(
    held: Held,
    change: StoredChange,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { object, spilled } = withChange(held.object, change);
    if (spilled.length > 0) await this.#past.save(spilled, signal);
    return (await this.#put(held, object, signal, change)) !== undefined;
  }

  /**
   * Replaces the object that is held; undefined when another writer was faster. The answer to a put
   * may be lost, and a put that is sent again then meets its own object: so where it failed the
   * object tells.
   * @param change what it adds, which others may have built upon since
   */
  async #put(
    { etag: expected, object: { name } }: Held,
    next: RefObject,
    signal: AbortSignal | undefined,
    change?: StoredChange,
  ): Promise<Held | undefined> {
    const object = this.#withAttached(next);
    const bytes = encodeRef(object);
    const condition =
      expected === undefined ? ({ ifNoneMatch: '*' } as const) : { ifMatch: expected };
    const options = signal === undefined ? condition : { ...condition, signal };
    try {
      const { etag } = await this.#objects.put(keyOf(name), bytes, options);
      const held = { object, etag };
      this.#held.set(name, held);
      return held;
    } catch (error) {
      this.#held.delete(name);
      const { kind } = asTarnError(error);
      if (!OUTCOME_UNKNOWN.has(kind)) throw error;
      const found = await this.#read(name, signal).catch(() => undefined);
      if (found !== undefined && encodeRef(found.object).equals(bytes)) return found;
      const isBuiltUpon =
        found !== undefined &&
        change !== undefined &&
        (await this.#past.has(found.object, change, signal));
      if (isBuiltUpon) return found;
      if (kind !== 'conflict') throw error;
      return undefined;
    }
  }
}

const OUTCOME_UNKNOWN: ReadonlySet<string> = new Set(['conflict', 'unavailable', 'io', 'busy']);

/** A name that nothing was ever done with. */
function unused(name: string): Held {
  return { object: { name, changes: [], older: [] }, etag: undefined };
}

function isOwn(name: string): boolean {
  return name.startsWith('@');
}

/** Names are unlike in bytes, and so are their keys. */
function keyOf(name: string): string {
  return isOwn(name) ? `${OWN_PREFIX}${name.slice(1)}` : `${PREFIX}${name}`;
}

function targetOf<K extends RecordKind>(
  { changes: [newest] }: RefObject,
  kind: K,
): RefTarget<K> | undefined {
  return newest?.kind === kind ? (newest.next as RefTarget<K> | undefined) : undefined;
}

/** @param unless a ref of this kind may have the name */
function checkFree({ name, changes: [newest] }: RefObject, unless?: RecordKind): void {
  if (newest?.next === undefined || newest.kind === unless) return;
  throw new TarnError('exists', `the name '${name}' is taken by a ${newest.kind}`, {
    hint: 'a branch and a tag never share a name: choose another one',
  });
}

/** A change as the next one of the object. */
function changeOf(
  { changes: [newest] }: RefObject,
  values: Omit<StoredChange, 'number' | 'id'>,
): StoredChange {
  return {
    ...values,
    number: (newest?.number ?? 0) + 1,
    id: randomBytes(16).toString('hex'),
    atMs: Math.max(values.atMs, newest?.atMs ?? -Infinity),
  };
}

/** The same changes in other bytes, without what was pending. */
function fenced({ name, changes, older }: RefObject): RefObject {
  return { name, changes, older, fence: randomBytes(16).toString('hex') };
}

function isNewest({ changes: [newest] }: RefObject, { id }: StoredChange): boolean {
  return newest?.id === id;
}

/** @throws TarnError internal: the format has no pending change without it */
function otherOf({ renamed }: StoredChange): string {
  if (renamed !== undefined) return renamed.name;
  throw new TarnError('internal', 'a renaming is pending without its other name');
}

function recorded<K extends RecordKind>(name: string, change: StoredChange): RecordedChange<K> {
  const { number, kind, expected, next, renamed, by, atMs, why } = change;
  return {
    number,
    kind: kind as K,
    name,
    expected: expected as RefTarget<K> | undefined,
    next: next as RefTarget<K> | undefined,
    ...(renamed === undefined ? {} : { renamed: renamed.name }),
    by,
    atMs,
    why,
  };
}

async function firstOfKind(
  changes: AsyncIterable<StoredChange>,
  kind: RecordKind,
): Promise<StoredChange | undefined> {
  for await (const change of changes) if (change.kind === kind) return change;
  return undefined;
}

function restless(name: string): TarnError {
  return new TarnError('conflict', `the ref '${name}' was changed by others all the time`, {
    hint: 'nothing is lost: do it again when fewer others are changing it',
  });
}
