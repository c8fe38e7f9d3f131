import { LRUCache } from 'lru-cache';
import type { Commit } from '../model/commit.js';
import {
  COMMIT_BYTES_MAX,
  commitIdOf,
  decodeCommit,
  encodeCommit,
} from '../model/commit-format.js';
import type { CommitId } from '../model/ids.js';
import { parseCommitId } from '../model/ids.js';
import type { ObjectStore } from '../store/object-store.js';
import type { Attachments } from '../store/ref-store.js';
import { TarnError } from '../util/errors.js';
import { commitKey, commitPrefix } from './layout.js';
import { putNamed, readChecked } from './objects.js';

const CACHED_COMMITS_MAX = 1_024;

/** The commits of a repository, as objects named by their hash. */
export class CommitStore {
  readonly #objects: ObjectStore;
  readonly #cache = new LRUCache<CommitId, Commit>({ max: CACHED_COMMITS_MAX });
  /** A ref has the commit that it points to with it. */
  readonly attachments: Attachments = {
    of: (kind, target) => {
      const commit = kind === 'settings' ? undefined : this.#cache.get(target as CommitId);
      return commit && encodeCommit(commit).toString();
    },
    found: (kind, target, attached) => {
      if (kind !== 'settings') this.#accept(target as CommitId, Buffer.from(attached));
    },
  };

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  /** @throws TarnError not-found, corrupt (names the commit), unsupported, io, aborted */
  async read(id: CommitId, signal?: AbortSignal): Promise<Commit> {
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    const range = { offset: 0, length: COMMIT_BYTES_MAX };
    const options = { range, ...(signal === undefined ? {} : { signal }) };
    const decode = (bytes: Uint8Array): Commit => decodeCommit(id, bytes);
    const commit = await readChecked(this.#objects, commitKey(id), options, decode);
    this.#cache.set(id, commit);
    return commit;
  }

  /**
   * Resolves once the commit is durable; saving it again is no error.
   * @throws TarnError invalid, no-space, io, aborted
   */
  async save(commit: Commit, signal?: AbortSignal): Promise<CommitId> {
    const bytes = encodeCommit(commit);
    const id = commitIdOf(bytes);
    await putNamed(this.#objects, commitKey(id), bytes, signal);
    this.#cache.set(id, decodeCommit(id, bytes));
    return id;
  }

  /** Bytes that are not the commit are of no use: who wants it reads its own object, and hears of faults. */
  #accept(id: CommitId, bytes: Buffer): void {
    if (this.#cache.has(id)) return;
    try {
      this.#cache.set(id, decodeCommit(id, bytes));
    } catch {
      return;
    }
    this.#objects.bring?.(commitKey(id), bytes);
  }

  /** Whether it is there, as far as can be told without judging it. @throws as read, but not-found */
  async has(id: CommitId, signal?: AbortSignal): Promise<boolean> {
    try {
      await this.read(id, signal);
      return true;
    } catch (error) {
      if (error instanceof TarnError && error.kind === 'not-found') return false;
      throw error;
    }
  }

  /** Ids that start with `digits`, in order, `limit` of them at most. */
  async find(digits: string, limit: number, signal?: AbortSignal): Promise<CommitId[]> {
    const found: CommitId[] = [];
    const prefix = commitPrefix(digits);
    for await (const { key } of this.#objects.list(
      prefix,
      signal === undefined ? {} : { signal },
    )) {
      found.push(parseCommitId(key.slice(key.lastIndexOf('/') + 1)));
      if (found.length === limit) break;
    }
    return found;
  }
}
