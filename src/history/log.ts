import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import type { Span } from '../model/span.js';
import type { LoggedCommit } from '../repo/log.js';
import { walkHistory } from '../repo/log.js';
import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import type { GraphLines } from './graph.js';
import { Graph } from './graph.js';
import type { HistorySource } from './source.js';
import { touches } from './touches.js';

/** Which commits of a history to show; without any condition all. */
export interface LogQuery {
  /** Those that changed something here (see touches). */
  readonly spans?: readonly Span[];
  /** Part of the author's text, whatever the case. */
  readonly author?: string;
  /** Part of the message, whatever the case. */
  readonly grep?: string;
  /** Not before; milliseconds since 1970 UTC. */
  readonly sinceMs?: number;
  /** Not after; milliseconds since 1970 UTC. */
  readonly untilMs?: number;
  /** All of them, each with that value where one is given. */
  readonly metadata?: readonly MetadataCondition[];
  readonly merges?: 'only' | 'none';
  readonly firstParent?: boolean;
  /** Draw the lines between the commits. */
  readonly graph?: boolean;
  readonly limit?: number;
  /** Only what follows this commit in the walk. */
  readonly after?: CommitId;
  readonly signal?: AbortSignal | undefined;
}

export interface MetadataCondition {
  readonly key: string;
  readonly value?: string;
}

export interface ShownCommit extends LoggedCommit {
  readonly graph?: GraphLines;
}

/**
 * Dates may lie, but are not taken to be wrong by more commits than this: so far a walk reads ahead
 * where history forks, and a search by `sinceMs` ends once so many in a row are older.
 */
const WRONG_DATES_MAX = 1_000;
const GIVE_WAY_EVERY = 256;

/**
 * The commits that `from` descends from and that `query` asks for, in the order of walkHistory.
 * Nothing is left out of the walk itself: of a line that was merged all commits that touched a path
 * are shown, whether or not what they did is there today.
 * @throws TarnError not-found when `after` is not in the history; not-found, corrupt, aborted, io
 */
export async function* searchHistory(
  source: HistorySource,
  from: CommitId,
  query: LogQuery = {},
): AsyncGenerator<ShownCommit, void, undefined> {
  const { after, limit = Infinity, signal, firstParent = false } = query;
  const graph = query.graph === true ? new Graph() : undefined;
  let isBehind = after === undefined;
  let shown = 0;
  let walked = 0;
  let older = 0;
  if (limit <= 0) return;
  const read = (id: CommitId): Promise<Commit> => source.readCommit(id, signal);
  const walk = { firstParent, aheadMax: WRONG_DATES_MAX };
  for await (const { id, commit } of walkHistory(from, read, walk)) {
    walked += 1;
    // The signal of a job thread fires only where its event loop turns.
    if (walked % GIVE_WAY_EVERY === 0) await giveWay();
    throwIfAborted(signal);
    const parents = firstParent ? commit.parents.slice(0, 1) : commit.parents;
    older = commit.dateMs < (query.sinceMs ?? -Infinity) ? older + 1 : 0;
    if (older === WRONG_DATES_MAX) break;
    const isShown = await matches(source, commit, query);
    const lines = isShown ? graph?.show(id, parents) : graph?.hide(id, parents);
    if (isShown && isBehind) {
      yield { id, commit, ...(lines === undefined ? {} : { graph: lines }) };
      shown += 1;
      if (shown === limit) return;
    }
    isBehind ||= id === after;
  }
  if (isBehind || after === undefined) return;
  throw new TarnError('not-found', `commit ${after} is not in this history`, {
    hint: 'go on from the last commit that the page before had, with the same options',
  });
}

/** What costs least is asked first. */
async function matches(source: HistorySource, commit: Commit, query: LogQuery): Promise<boolean> {
  const { author, grep, sinceMs, untilMs, metadata = [], merges, spans, signal } = query;
  if (sinceMs !== undefined && commit.dateMs < sinceMs) return false;
  if (untilMs !== undefined && commit.dateMs > untilMs) return false;
  if (merges !== undefined && commit.parents.length > 1 !== (merges === 'only')) return false;
  if (author !== undefined && !contains(commit.author, author)) return false;
  if (grep !== undefined && !contains(commit.message, grep)) return false;
  const isMet = ({ key, value }: MetadataCondition): boolean =>
    Object.hasOwn(commit.metadata, key) && (value === undefined || commit.metadata[key] === value);
  if (!metadata.every(isMet)) return false;
  return spans === undefined || touches(source, commit, spans, signal);
}

function contains(text: string, part: string): boolean {
  return text.toLowerCase().includes(part.toLowerCase());
}
