import { setTimeout as sleep } from 'node:timers/promises';
import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import type { RefStore } from '../store/ref-store.js';
import { throwIfAborted } from '../util/abort.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { faultPoint } from '../util/fault-point.js';
import { Saves } from '../util/saves.js';
import type { CommitStore } from './commit-store.js';
import type { Guards, PublicationKind } from './guards.js';
import { noSuchRef } from './refs.js';

/**
 * The order of durability, which nothing may break:
 *
 *   bytes, tree nodes, commit → ref → clear staging
 *
 * Each step is durable before the next begins. Objects are named by what they hold, so that a commit
 * and its tree may be on their way at once, where a write is a round trip: only what names them to
 * others, staging and the ref, waits for all of them. So a crash leaves objects that nobody names, a
 * commit without its tree among them, or staged changes that the head has already (committing those
 * again is no change), but never a ref to something that is missing and never a lost change.
 *
 * A branch that moved meanwhile loses no work either: everything is computed again from its new
 * head, a bounded number of times.
 */
export interface Publication<Stop = never> {
  readonly branch: string;
  readonly by: string;
  readonly kind: PublicationKind;
  /** For the ref's history. */
  readonly why: string;
  /**
   * What the commit will say, where that is certain: the branch's rules are then checked before
   * any work. What `prepare` resolves to is checked in every case.
   */
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Where the branch was when it was last looked at: it is tried there without asking, and the move of
   * the ref finds out. What `prepare` throws or stops for there is not believed.
   */
  readonly assumed?: CommitId;
  /** What is being saved already of what it names. */
  readonly saves?: Saves;
  /**
   * What to publish on top of `head`, if anything; asked again when the branch has moved.
   * @param saves may be given what need not be durable yet
   */
  prepare(head: Head, saves: Saves): Promise<Prepared<Stop>>;
  /** Drops what the commit now holds from staging. */
  clearStaging?(id: CommitId): Promise<void>;
}

export type Prepared<Stop> =
  /** A new commit; all that its tree names is durable, or will be when the saves are. */
  | {
      readonly kind: 'commit';
      readonly commit: Commit;
      /** New commits between the head and it, oldest first, that are published with it. */
      readonly between?: readonly Commit[];
      /** Called when all of it is durable, before the branch moves; publishes nothing for a value. */
      stage?(): Stop | undefined;
    }
  /** A commit that is there already and descends from the head: the branch moves to it. */
  | { readonly kind: 'fast-forward'; readonly id: CommitId }
  /** Nothing is published, and publish resolves to `value`. */
  | { readonly kind: 'stop'; readonly value: Stop };

export interface Published {
  readonly kind: 'published';
  readonly id: CommitId;
  /** The head that it was published on top of. */
  readonly onto: CommitId;
}

/** Where things are published. */
export interface Publisher {
  readonly refs: RefStore;
  readonly commits: CommitStore;
  readonly guards: Guards;
}

/** Where a branch is. */
export interface Head {
  readonly id: CommitId;
  readonly commit: Commit;
  /** The branch may have moved on before this began. */
  readonly isAssumed?: boolean;
}

const ATTEMPTS_MAX = 50;
/** Longest wait before another attempt, in times of the one before. */
const WAIT_MAX = 8;

/**
 * @throws TarnError not-found when there is no such branch, denied by the branch's rules, conflict
 *   when it moved too often, and what the publication's own steps throw; then nothing is published
 */
export async function publish<Stop = never>(
  publisher: Publisher,
  publication: Publication<Stop>,
  signal?: AbortSignal,
): Promise<Published | Stop> {
  const { saves = new Saves(signal) } = publication;
  try {
    return await published(publisher, { ...publication, saves }, signal);
  } finally {
    await saves.settled();
  }
}

async function published<Stop>(
  { refs, commits, guards }: Publisher,
  publication: Publication<Stop> & { readonly saves: Saves },
  signal: AbortSignal | undefined,
): Promise<Published | Stop> {
  const { branch, by, kind, why, metadata, saves } = publication;
  let lost: Lost = { times: 0, tookMs: 0 };
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    await backOff(lost, signal);
    const startedMs = performance.now();
    const assumed = attempt === 0 ? publication.assumed : undefined;
    // They are not waited for where nothing is told of what they would have prevented.
    const isChecked = assumed === undefined || guards.areKnown;
    const [head] = await Promise.all([
      readHead(refs, commits, branch, assumed, signal),
      isChecked ? guards.checkAhead(branch, kind, metadata, signal) : undefined,
    ]);
    faultPoint('commit-start');
    const prepared = await preparedOn(publication, head, signal);
    if (prepared === undefined) continue;
    if (prepared.kind === 'stop') {
      await saves.durable();
      return prepared.value;
    }
    faultPoint('commit-prepared');
    const [id] = await Promise.all([
      save(prepared, commits, signal),
      // The rules may have changed while the tree was built. A commit that they refuse is nobody's.
      checkAll(guards, branch, kind, await judged(prepared, commits, signal), signal),
      saves.durable(),
    ]);
    faultPoint('commit-saved');
    const stopped = prepared.kind === 'commit' ? prepared.stage?.() : undefined;
    if (stopped !== undefined) return stopped;
    const change = { kind: 'branch', name: branch, expected: head.id, next: id, by, why } as const;
    if ((await refs.compareAndSwap({ ...change, atMs: Date.now() }, signal)) === 'moved') {
      lost = { times: lost.times + 1, tookMs: performance.now() - startedMs };
      continue;
    }
    faultPoint('commit-ref-moved');
    await publication.clearStaging?.(id);
    faultPoint('commit-staging-cleared');
    return { kind: 'published', id, onto: head.id };
  }
  throw new TarnError(
    'conflict',
    `branch '${branch}' moved ${ATTEMPTS_MAX} times during a ${kind}`,
    {
      hint: 'nothing is lost: do it again when fewer others are changing this branch',
    },
  );
}

/** Undefined where the head must be read before what came of it is told. */
async function preparedOn<Stop>(
  publication: Publication<Stop> & { readonly saves: Saves },
  head: Head,
  signal: AbortSignal | undefined,
): Promise<Prepared<Stop> | undefined> {
  const { saves } = publication;
  if (head.isAssumed !== true) return publication.prepare(head, saves);
  try {
    const prepared = await publication.prepare(head, saves);
    return prepared.kind === 'stop' ? undefined : prepared;
  } catch {
    throwIfAborted(signal);
    return undefined;
  }
}

type Ready = Exclude<Prepared<unknown>, { kind: 'stop' }>;

/** The commits that the branch's rules judge. */
async function judged(
  prepared: Ready,
  commits: CommitStore,
  signal: AbortSignal | undefined,
): Promise<readonly Commit[]> {
  if (prepared.kind === 'fast-forward') return [await commits.read(prepared.id, signal)];
  return [...(prepared.between ?? []), prepared.commit];
}

async function checkAll(
  guards: Guards,
  branch: string,
  kind: PublicationKind,
  commits: readonly Commit[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const { metadata } of commits) {
    await guards.checkPublication(branch, kind, metadata, signal);
  }
}

async function save(
  prepared: Ready,
  commits: CommitStore,
  signal: AbortSignal | undefined,
): Promise<CommitId> {
  if (prepared.kind === 'fast-forward') return prepared.id;
  for (const each of prepared.between ?? []) await commits.save(each, signal);
  return commits.save(prepared.commit, signal);
}

/** Attempts that others were faster than. */
interface Lost {
  readonly times: number;
  /** The last one. */
  readonly tookMs: number;
}

/**
 * Of several that try again at once all but one lose, and have asked the store for nothing: so they
 * spread over as long as an attempt takes, over twice that when they lose again, up to WAIT_MAX.
 * @throws TarnError aborted
 */
async function backOff({ times, tookMs }: Lost, signal: AbortSignal | undefined): Promise<void> {
  if (times === 0) return;
  const wait = Math.random() * tookMs * Math.min(2 ** (times - 1), WAIT_MAX);
  try {
    await sleep(wait, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw asTarnError(error);
  }
}

async function readHead(
  refs: RefStore,
  commits: CommitStore,
  branch: string,
  assumed: CommitId | undefined,
  signal: AbortSignal | undefined,
): Promise<Head> {
  if (assumed !== undefined) {
    return { id: assumed, commit: await commits.read(assumed, signal), isAssumed: true };
  }
  const id = await refs.get('branch', branch, signal);
  if (id === undefined) throw await noSuchRef(refs, 'branch', branch, signal);
  return { id, commit: await commits.read(id, signal) };
}
