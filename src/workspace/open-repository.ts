import { LRUCache } from 'lru-cache';
import type { RepositoryOptions } from '../repo/repository.js';
import { Repository } from '../repo/repository.js';
import type { Home } from './home.js';
import { settleRenames } from './renames.js';
import { Staging } from './staging.js';
import { Workspace } from './workspace.js';

/** Branches whose heads are kept at hand; their state is in the database. */
const WORKSPACES_MAX = 64;

/** A repository of a home with what is staged on its branches, for as long as both are needed. */
export class OpenRepository {
  readonly repository: Repository;
  readonly staging: Staging;
  readonly #workspaces = new LRUCache<string, Workspace>({ max: WORKSPACES_MAX });

  private constructor(repository: Repository, staging: Staging) {
    this.repository = repository;
    this.staging = staging;
  }

  /** @throws TarnError not-found, corrupt, unsupported, denied, io */
  static async open(home: Home, name: string, options: RepositoryOptions): Promise<OpenRepository> {
    const { storage } = home.repository(name);
    const repository = await Repository.open(name, storage, { ...options, isKnown: true });
    try {
      const staging = new Staging(home.stagingFile(name));
      try {
        await settleRenames(repository.refs, staging);
      } catch (error) {
        staging.close();
        throw error;
      }
      return new OpenRepository(repository, staging);
    } catch (error) {
      await repository.close();
      throw error;
    }
  }

  /** By its name. A branch that does not exist shows when the workspace is used. */
  workspace(name: string): Workspace {
    const known = this.#workspaces.get(name);
    if (known !== undefined) return known;
    const workspace = new Workspace(this.repository, this.staging, name);
    this.#workspaces.set(name, workspace);
    return workspace;
  }

  forgetWorkspaces(...branches: readonly string[]): void {
    for (const branch of branches) this.#workspaces.delete(branch);
  }

  async close(): Promise<void> {
    this.staging.close();
    await this.repository.close();
  }
}
