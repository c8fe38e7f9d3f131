import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import type { PublicationKind } from '../repo/guards.js';
import type { Head, Prepared } from '../repo/publish.js';
import type { Repository } from '../repo/repository.js';
import type { Effect } from './effect.js';
import { effectOf } from './effect.js';
import type { Conflicts, ThreeWayOptions } from './three-way.js';

/** What all have that bring changes of other commits to a branch. */
export interface BringOptions extends ThreeWayOptions {
  readonly branch: string;
  /** Who, for the commit and the branch's history. */
  readonly author: string;
  /** Finds out what would happen, and publishes nothing. */
  readonly isDryRun?: boolean;
}

/** What came of it. Conflicts leave everything as it was. */
export type Outcome =
  | Done
  /** The branch has all of it already; `head` is where it is. */
  | { readonly kind: 'nothing'; readonly head: CommitId }
  | (Conflicts & {
      /** The head that was tried. */
      readonly onto: CommitId;
      /** The commit whose changes conflict. */
      readonly source: CommitId;
    });

export interface Done {
  readonly kind: 'done';
  /** The branch's new head; absent on a dry run that makes a commit. */
  readonly commit?: CommitId;
  /** The branch's head before. */
  readonly onto: CommitId;
  readonly isFastForward: boolean;
  /** Commits made, and left out because they change nothing. */
  readonly made: number;
  readonly skipped: number;
  /** Conflicts that a preference decided. */
  readonly settled: number;
  readonly effect: Effect;
}

/** What to publish on top of a head. */
export type Plan =
  | {
      readonly kind: 'commits';
      /** Each but the first on top of the one before; at least one. */
      readonly chain: readonly [...Commit[], Commit];
      readonly settled: number;
      readonly skipped: number;
    }
  | { readonly kind: 'fast-forward'; readonly id: CommitId }
  | Exclude<Outcome, Done>;

/** How it shows in the branch's history, and what its rules make of it. */
export interface Task extends BringOptions {
  readonly kind: PublicationKind;
  readonly why: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Asked again when the branch has moved. All trees of the plan are durable. */
  plan(head: Head): Promise<Plan>;
}

type Stopped = Exclude<Outcome, Done> | { readonly kind: 'dry'; readonly onto: CommitId };

/**
 * Publishes what `task` plans.
 * @throws TarnError not-found when there is no such branch, conflict when it moved too often, denied
 *   by its rules, and what the plan throws; then nothing is published
 */
export async function carryOut(repository: Repository, task: Task): Promise<Outcome> {
  const { branch, author, kind, why, metadata, isDryRun = false, signal } = task;
  let planned: Planned | undefined;
  const result = await repository.publish<Stopped>(
    {
      branch,
      by: author,
      kind,
      why,
      ...(metadata === undefined ? {} : { metadata }),
      prepare: async (head): Promise<Prepared<Stopped>> => {
        const plan = await task.plan(head);
        if (plan.kind === 'nothing' || plan.kind === 'conflicts') {
          return { kind: 'stop', value: plan };
        }
        planned = plan;
        if (isDryRun) return { kind: 'stop', value: { kind: 'dry', onto: head.id } };
        if (plan.kind === 'fast-forward') return plan;
        return { kind: 'commit', commit: lastOf(plan), between: plan.chain.slice(0, -1) };
      },
    },
    signal,
  );
  if (result.kind === 'nothing' || result.kind === 'conflicts') return result;
  return describe(repository, planned as Planned, result, signal);
}

type Planned = Extract<Plan, { kind: 'commits' | 'fast-forward' }>;

function lastOf({ chain }: Extract<Plan, { kind: 'commits' }>): Commit {
  return chain.at(-1) as Commit;
}

async function describe(
  repository: Repository,
  plan: Planned,
  { onto, ...published }: { readonly onto: CommitId; readonly id?: CommitId },
  signal: AbortSignal | undefined,
): Promise<Done> {
  const isFastForward = plan.kind === 'fast-forward';
  const commit = isFastForward ? plan.id : published.id;
  const { tree: before } = await repository.readCommit(onto, signal);
  const { tree: after } = isFastForward
    ? await repository.readCommit(plan.id, signal)
    : lastOf(plan);
  return {
    kind: 'done',
    ...(commit === undefined ? {} : { commit }),
    onto,
    isFastForward,
    made: isFastForward ? 0 : plan.chain.length,
    skipped: isFastForward ? 0 : plan.skipped,
    settled: isFastForward ? 0 : plan.settled,
    effect: await effectOf(repository.nodes, before, after, signal),
  };
}
