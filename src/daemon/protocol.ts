import type { ErrorKind } from '../util/errors.js';
import type { PutResult } from '../workspace/jobs/put.js';
import type { CacheOperations } from './protocol/cache.js';
import type { FsckOperations } from './protocol/fsck.js';
import type { HistoryOperations } from './protocol/history.js';
import type { ImportOperations } from './protocol/import.js';
import type { MergingOperations } from './protocol/merging.js';
import type { RefOperations, SettingsResult } from './protocol/refs.js';
import type { StatsOperations } from './protocol/stats.js';
import type { LeftRow, StagingOperations } from './protocol/staging.js';
import type { CommitRow, NoArguments, Nothing, Operation, Page, Place } from './protocol/terms.js';

/**
 * What the command line and the daemon say to each other: `POST /v1/<operation>` with a JSON object
 * as body over a unix socket, answered by a stream of frames (frames.ts). This file is the whole
 * vocabulary. Rows and results are what `--json` prints, so they carry dates as ISO 8601 text,
 * sizes in bytes, modes as octal text and paths as text.
 */
export const PROTOCOL = 1;
export const VERSION = '0.1.0';

export const PROTOCOL_HEADER = 'tarn-protocol';
export const VERSION_HEADER = 'tarn-version';

/** Longest request body. */
export const BODY_BYTES_MAX = 4 * 1_048_576;

/** One line of an answer; `bytes` is followed by that many raw bytes. */
export type Frame =
  | { readonly row: unknown }
  | { readonly progress: Progress }
  | { readonly bytes: number }
  | { readonly done: unknown }
  | { readonly error: WireError };

export interface WireError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint?: string;
  /** The daemon was stopping and did nothing: the next one can be asked. */
  readonly isForNext?: boolean;
}

export interface Progress {
  readonly files: number;
  readonly bytes: number;
  readonly current?: string;
}

/** Each operation's arguments, the rows it streams and what it ends with. */
export interface Operations
  extends
    CacheOperations,
    FsckOperations,
    HistoryOperations,
    ImportOperations,
    MergingOperations,
    RefOperations,
    StagingOperations,
    StatsOperations {
  'repo.create': Operation<{ name: string; storage?: string; by: string }, never, RepositoryRow>;
  'repo.add': Operation<{ name: string; storage: string }, never, RepositoryRow>;
  'repo.list': Operation<Page, RepositoryRow, Nothing>;
  'repo.show': Operation<{ name: string }, never, RepositoryDetails>;
  'repo.delete': Operation<{ name: string }, never, RepositoryRow & { deleted: true }>;

  'branch.list': Operation<{ repository: string } & Page, RefRow, Nothing>;
  'branch.create': Operation<CreateRef, never, RefRow>;
  'branch.rename': Operation<RenameRef, never, RefRow>;
  'branch.delete': Operation<DeleteRef, never, RefRow>;
  'tag.list': Operation<{ repository: string } & Page, RefRow, Nothing>;
  'tag.create': Operation<CreateRef, never, RefRow>;
  'tag.delete': Operation<DeleteRef, never, RefRow>;

  put: Operation<PutArguments, never, PutResult>;
  commit: Operation<CommitArguments, never, CommitResult>;

  /** `after` is a row's path, from the root. */
  ls: Operation<Place & { recursive: boolean; long: boolean } & Page, ListRow, Nothing>;
  stat: Operation<Place, never, StatResult>;
  du: Operation<Place, never, { path: string; entries: number; bytes: number }>;
  cat: Operation<Place & { start?: number; end?: number }, never, { bytes: number }>;
  get: Operation<Place & { recursive: boolean }, GetRow, { files: number; bytes: number }>;

  mount: Operation<MountArguments, never, MountRow>;
  umount: Operation<{ directory: string; force: boolean }, UnmountRow, { unmounted: number }>;
  mounts: Operation<NoArguments, MountRow, Nothing>;
  /** The private ones. */
  'workspace.list': Operation<{ repository: string }, WorkspaceRow, Nothing>;

  'daemon.status': Operation<NoArguments, never, DaemonStatus>;
  'daemon.stop': Operation<NoArguments, never, { pid: number }>;
  'doctor.repository': Operation<{ name: string }, CheckRow, Nothing>;
}

export type OperationName = keyof Operations;
export type Arguments<K extends OperationName> = Operations[K]['args'];
export type Row<K extends OperationName> = Operations[K]['row'];
export type Result<K extends OperationName> = Operations[K]['result'];

export interface CreateRef {
  readonly repository: string;
  readonly name: string;
  /** A ref expression. */
  readonly from: string;
  readonly by: string;
}

export interface RenameRef {
  readonly repository: string;
  readonly name: string;
  readonly to: string;
  readonly by: string;
}

export interface DeleteRef {
  readonly repository: string;
  readonly name: string;
  readonly by: string;
}

export interface PutArguments {
  readonly repository: string;
  readonly branch: string;
  /** Where to; empty is the root, a final `/` means "into". */
  readonly path: string;
  /** Absolute, real paths of files or folders on this machine. */
  readonly sources: readonly string[];
  readonly recursive: boolean;
}

export interface Problem {
  readonly path: string;
  readonly why: string;
}

export interface CommitArguments {
  readonly repository: string;
  readonly branch: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly paths: readonly string[];
  readonly author: string;
  /** Until no program has a file of the branch open for writing. */
  readonly wait: boolean;
}

export interface CommitResult extends CommitRow {
  /** What is in mounts of the branch and not in the commit. */
  readonly left?: readonly LeftRow[];
}

export interface MountArguments {
  readonly repository: string;
  /** Without it all of the repository is mounted, by its names. */
  readonly ref?: string;
  /** Absolute, real path of an existing empty directory that the command line has checked. */
  readonly directory: string;
  readonly driver: 'native' | 'fuse-native';
  readonly allowOther: boolean;
  /** Programs may change the branch; without it the mount shows a commit. */
  readonly write?: MountOwner;
  /** The mount shows each new commit of the branch, and cannot be written. */
  readonly follow?: boolean;
  /** A mount of a commit that never asks the bucket: what is not cached is an error. */
  readonly offline?: boolean;
}

/** What a mount that can be written shows where the branch says nothing. */
export interface MountOwner {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits that no file shows. */
  readonly umask: number;
  /** Of what is committed through the mount. */
  readonly author: string;
  /** In a new workspace of its own on the branch. */
  readonly isPrivate?: boolean;
}

export interface RepositoryRow {
  readonly name: string;
  readonly storage: string;
}

export interface RepositoryDetails extends RepositoryRow {
  readonly branches: number;
  readonly tags: number;
  readonly settings: SettingsResult;
  /** The newest commit of `main`, if there is such a branch. */
  readonly head?: CommitRow;
  readonly entries?: number;
  readonly bytes?: number;
}

export interface RefRow {
  readonly name: string;
  readonly commit: string;
}

export type EntryKind = 'file' | 'symlink' | 'directory';

export interface ListRow {
  readonly path: string;
  readonly kind: EntryKind;
  /** Of a directory, and only in a long listing: the bytes of all below it. */
  readonly size?: number;
  /** Of a directory in a long listing: how many files and symlinks lie below it. */
  readonly entries?: number;
  readonly mtime?: string;
  readonly mode?: string;
  readonly target?: string;
}

export interface StatResult extends ListRow {
  readonly repository: string;
  readonly ref: string;
  readonly commit: string;
  readonly content?: string;
  /** The URL of the file that it points at. */
  readonly importedFrom?: string;
  readonly contentType?: string;
  readonly etag?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Before a file's bytes: what to make; `size` bytes follow for a file. */
export interface GetRow {
  /** Relative to what was asked for; empty for a single file. */
  readonly path: string;
  readonly kind: EntryKind;
  readonly size: number;
  readonly mode: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly target?: string;
}

export interface MountRow {
  readonly directory: string;
  readonly repository: string;
  /** Absent, with the commit, where it is the whole repository. */
  readonly ref?: string;
  readonly commit?: string;
  readonly driver: string;
  readonly state: 'mounted' | 'dead';
  /** Programs may change it. */
  readonly write?: true;
  /** It shows the newest commit of the branch. */
  readonly follow?: true;
  /** The branch that it followed was deleted or renamed: it stays at the last commit. */
  readonly gone?: true;
  readonly since?: string;
  readonly features?: Readonly<Record<string, string | number | boolean>>;
}

export interface UnmountRow extends MountRow {
  /** A private workspace in which something is left; absent where it has ended. */
  readonly kept?: string;
}

export interface WorkspaceRow {
  readonly repository: string;
  readonly workspace: string;
  /** Directories where it is mounted. */
  readonly mounts: readonly string[];
}

export interface DaemonStatus {
  readonly pid: number;
  readonly version: string;
  readonly protocol: number;
  readonly home: string;
  readonly uptimeSeconds: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
  readonly mounts: number;
  readonly repositories: number;
  readonly jobs: readonly JobRow[];
}

export interface JobRow {
  readonly id: number;
  readonly operation: string;
  readonly repository: string;
  readonly seconds: number;
  readonly files: number;
  readonly bytes: number;
}

export interface CheckRow {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly fix?: string;
}

/** Asked for whatever the protocol of the other side, so that two versions can always part. */
export const ANY_PROTOCOL: ReadonlySet<string> = new Set(['daemon.status', 'daemon.stop']);

/** Why a peer of another protocol is refused; undefined for the same one. */
export function protocolRefusal(
  client: { protocol: number; version: string },
  daemon: { protocol: number; version: string },
): WireError | undefined {
  if (client.protocol === daemon.protocol) return undefined;
  const older = client.protocol < daemon.protocol ? 'this command line' : 'the running daemon';
  const hint =
    client.protocol < daemon.protocol
      ? `run the tarn ${daemon.version} that started the daemon, or 'tarn daemon stop' and this command again`
      : "run 'tarn daemon stop' (it unmounts), then this command again: it starts the newer daemon";
  return {
    kind: 'unsupported',
    message: `${older} is the older one: the command line is tarn ${client.version} (protocol ${client.protocol}), the daemon tarn ${daemon.version} (protocol ${daemon.protocol})`,
    hint,
  };
}
