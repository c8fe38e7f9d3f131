import type { MethodCounts } from '../../store/bucket/metrics.js';
import type { ReadCounts } from '../../store/traffic.js';
import type { NoArguments, Nothing, Operation } from './terms.js';

export interface StatsOperations {
  /** Repositories in buckets by name, each followed by its mounts. */
  stats: Operation<NoArguments, StatsRow, Nothing>;
}

export type StatsRow = RepositoryStats | MountStats;

/** All that this daemon asked of one bucket, for whatever mount or command. */
export interface RepositoryStats {
  readonly kind: 'repository';
  readonly repository: string;
  readonly storage: string;
  /** When the counting began. */
  readonly since: string;
  readonly requests: number;
  /** Requests that were sent because one like them had failed. */
  readonly retries: number;
  /** Requests that got no answer, or one of a fault. */
  readonly errors: number;
  /** Of objects. */
  readonly bytesSent: number;
  readonly bytesFetched: number;
  readonly byKind: Readonly<Record<string, MethodCounts>>;
  /** The store has not answered since then, and is asked only now and then. */
  readonly openSince?: string;
  readonly cache: ReadCounts;
}

export interface MountStats {
  readonly kind: 'mount';
  readonly directory: string;
  readonly repository: string;
  readonly ref?: string;
  readonly since: string;
  /** Of contents that were read through it; absent where only the repository's are known. */
  readonly cache?: ReadCounts;
}
