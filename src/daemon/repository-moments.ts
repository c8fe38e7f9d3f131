import type { CommitId } from '../model/ids.js';
import { isCommitPrefix, wholeCommitId } from '../model/refs.js';
import { parseTime } from '../model/time.js';
import type { Repository } from '../repo/repository.js';
import { pastMs } from '../repo/resolve.js';
import type { FrozenView } from '../repo/view.js';
import type { ReadTally } from '../store/traffic.js';
import { asTarnError } from '../util/errors.js';
import type { Moments } from '../vfs/repository-filesystem.js';

/** A repository by its names, as a mount of all of it shows them. */
export class RepositoryMoments implements Moments {
  readonly #repository: Repository;
  readonly #tally: ReadTally;

  /** @param tally counts what is read of files */
  constructor(repository: Repository, tally: ReadTally) {
    this.#repository = repository;
    this.#tally = tally;
  }

  get repository(): string {
    return this.#repository.name;
  }

  async names(kind: 'branches' | 'tags', signal: AbortSignal): Promise<string[]> {
    const names: string[] = [];
    const refs = this.#repository.listRefs(kind === 'branches' ? 'branch' : 'tag', { signal });
    for await (const { name } of refs) names.push(name);
    return names;
  }

  async find(
    kind: 'branches' | 'tags' | 'commits',
    name: string,
    signal: AbortSignal,
  ): Promise<CommitId | undefined> {
    const { refs } = this.#repository;
    switch (kind) {
      case 'branches':
        return refs.get('branch', name, signal);
      case 'tags':
        return refs.get('tag', name, signal);
      case 'commits':
        return this.#findCommit(name, signal);
    }
  }

  isTime(text: string): boolean {
    try {
      pastMs(parseTime(text));
      return true;
    } catch (error) {
      if (asTarnError(error).kind === 'invalid') return false;
      throw error;
    }
  }

  async namesAt(time: string, signal: AbortSignal): Promise<string[]> {
    const atMs = pastMs(parseTime(time));
    const names: string[] = [];
    for (const name of await this.names('branches', signal)) {
      const moment = await this.#repository.refs.at('branch', name, atMs, signal);
      if (moment.kind === 'at') names.push(name);
    }
    return names;
  }

  async findAt(time: string, name: string, signal: AbortSignal): Promise<CommitId | undefined> {
    try {
      return (await this.#repository.resolve(`${name}@{${time}}`, signal)).commitId;
    } catch (error) {
      const { kind } = asTarnError(error);
      if (kind === 'not-found' || kind === 'invalid') return undefined;
      throw error;
    }
  }

  view(ref: string, commit: CommitId, signal: AbortSignal): Promise<FrozenView> {
    return this.#repository.commitView(ref, commit, signal, this.#tally);
  }

  /** By its id or a prefix that no other one has. */
  async #findCommit(name: string, signal: AbortSignal): Promise<CommitId | undefined> {
    const { commits } = this.#repository;
    const whole = wholeCommitId(name);
    if (whole !== undefined) return (await commits.has(whole, signal)) ? whole : undefined;
    if (!isCommitPrefix(name)) return undefined;
    const [only, other] = await commits.find(name, 2, signal);
    return other === undefined ? only : undefined;
  }
}
