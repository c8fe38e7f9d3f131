import { realpath } from 'node:fs/promises';
import type { ObjectCache } from '../cache/object-cache.js';
import type { VerifiedStamps } from '../repo/content-stamps.js';
import type { RepositoryOptions } from '../repo/repository.js';
import { Repository } from '../repo/repository.js';
import { canonicalStorage, deleteStorage, storagePlace } from '../repo/storage.js';
import { loadSdk, rehearseRequest } from '../store/open-bucket.js';
import { Traffic } from '../store/traffic.js';
import { formatStorageUrl } from '../store/storage-url.js';
import type { NodeCache } from '../tree/nodes.js';
import { asTarnError, TarnError } from '../util/errors.js';
import type { Home, KnownRepository } from '../workspace/home.js';
import { OpenRepository } from '../workspace/open-repository.js';
import { renameWithStaging } from '../workspace/renames.js';
import type { Workspace } from '../workspace/workspace.js';
import type { RenameRef } from './protocol.js';

/** Repositories in buckets that are opened before they are used. */
const OPENED_AHEAD_MAX = 8;

export interface Shared {
  readonly nodeCache: NodeCache;
  readonly stamps: VerifiedStamps;
  readonly objectCache?: ObjectCache;
}

/** The repositories of the home, each opened once and kept open. */
export class Repositories {
  readonly #home: Home;
  readonly #shared: Shared;
  readonly #open = new Map<string, Promise<OpenRepository>>();
  readonly #offline = new Map<string, Promise<Repository>>();
  readonly #traffic = new Map<string, Traffic>();

  constructor(home: Home, shared: Shared) {
    this.#home = home;
    this.#shared = shared;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /**
   * Does ahead what the first to use one in a bucket would wait for, until somebody uses one: loads what they
   * need, and opens the first of them. Asks nothing of a bucket.
   */
  async prepare(): Promise<void> {
    const far = this.list().flatMap(({ name, storage }) => {
      const { kind } = storagePlace(storage);
      return kind === 'local' ? [] : [{ name, kind }];
    });
    for (const kind of new Set(far.map(({ kind }) => kind))) {
      await loadSdk(kind);
      if (far.some(({ name }) => this.#open.has(name))) return;
      await rehearseRequest(kind).catch(() => undefined);
    }
    for (const { name } of far.slice(0, OPENED_AHEAD_MAX)) {
      // Whoever uses it hears of a fault.
      await this.open(name).catch(() => undefined);
    }
  }

  list(): KnownRepository[] {
    return this.#home.repositories();
  }

  /** Whether it lies in a bucket. @throws TarnError not-found */
  isFar(name: string): boolean {
    return storagePlace(this.known(name).storage).kind !== 'local';
  }

  /** What this daemon has asked of the bucket of a repository since it started. */
  traffic(name: string): Traffic {
    const known = this.#traffic.get(name);
    if (known !== undefined) return known;
    const traffic = new Traffic(this.#shared.objectCache?.counts);
    this.#traffic.set(name, traffic);
    return traffic;
  }

  /** @throws TarnError not-found */
  known(name: string): KnownRepository {
    return this.#home.repository(name);
  }

  /**
   * @param options.offline what is cached of one in a bucket, without asking the bucket for anything
   * @throws TarnError not-found, corrupt, unsupported, unavailable (offline, and not cached), io
   */
  async open(name: string, options: { readonly offline?: boolean } = {}): Promise<Repository> {
    if (options.offline === true) return this.#openedOffline(name);
    return (await this.#opened(name)).repository;
  }

  /** @throws TarnError as open; a branch that does not exist shows when it is used */
  async workspace(name: string, branch: string): Promise<Workspace> {
    return (await this.#opened(name)).workspace(branch);
  }

  /**
   * The name is taken last, so that a creation cut short can be run again: where only the name was
   * missing, what lies in the default place becomes the repository.
   * @throws TarnError exists, unsupported, invalid, denied, no-space, io
   */
  async create(name: string, storage: string | undefined, by: string): Promise<KnownRepository> {
    const place =
      storage === undefined ? this.#home.defaultStorage(name) : canonicalStorage(storage);
    const known = { name, storage: place };
    this.#checkFree(name);
    const made = await Repository.create(name, known.storage, by, this.#with(name)).catch(
      async (error: unknown) => {
        if (storage !== undefined || asTarnError(error).kind !== 'exists') throw error;
        return Repository.open(name, known.storage, this.#with(name)).catch((unopened: unknown) => {
          throw asTarnError(unopened).kind === 'not-found' ? error : unopened;
        });
      },
    );
    await made.close();
    this.#home.addRepository(known);
    return known;
  }

  /**
   * Makes a repository known that exists already, as after the list of them was lost.
   * @throws TarnError exists (the name is taken, or the storage has one); not-found, corrupt,
   *   unsupported, denied, io
   */
  async add(name: string, storage: string): Promise<KnownRepository> {
    this.#checkFree(name);
    await (await Repository.open(name, storage, this.#with(name))).close();
    const place = await realPlace(storage);
    for (const other of this.list()) {
      if ((await realPlace(other.storage).catch(() => undefined)) !== place) continue;
      throw new TarnError('exists', `'${place}' is known already, as '${other.name}'`, {
        hint: `use it by that name, as in 'tarn ls ${other.name}/main'`,
      });
    }
    const { kind } = storagePlace(storage);
    const known = { name, storage: kind === 'local' ? place : canonicalStorage(storage) };
    this.#home.addRepository(known);
    return known;
  }

  /**
   * Gives a branch another name, with what is staged on it.
   * @throws TarnError not-found, exists, invalid, conflict
   */
  async renameBranch(name: string, args: RenameRef, signal: AbortSignal): Promise<void> {
    const opened = await this.#opened(name);
    const { repository, staging } = opened;
    const rename = { from: args.name, to: args.to };
    await renameWithStaging(repository.refs, staging, rename, () =>
      repository.renameBranch(args.name, args.to, args.by, signal),
    );
    opened.forgetWorkspaces(args.name, args.to);
  }

  /** Deletes what is stored, then the name. A storage that is gone already is no obstacle. */
  async delete(name: string): Promise<KnownRepository> {
    const known = this.#home.repository(name);
    await this.#close(name);
    await deleteStorage(known.storage, this.#with(name)).catch((error: unknown) => {
      if (asTarnError(error).kind !== 'not-found') throw error;
    });
    this.#home.removeRepository(name);
    this.#traffic.delete(name);
    return known;
  }

  async close(): Promise<void> {
    for (const name of new Set([...this.#open.keys(), ...this.#offline.keys()])) {
      await this.#close(name);
    }
  }

  /** @throws TarnError exists, in the home's words */
  #checkFree(name: string): void {
    const taken = this.list().find((each) => each.name === name);
    if (taken !== undefined) this.#home.addRepository(taken);
  }

  #with(name: string): RepositoryOptions {
    return { ...this.#shared, traffic: this.traffic(name) };
  }

  #opened(name: string): Promise<OpenRepository> {
    const opened = this.#open.get(name);
    if (opened !== undefined) return opened;
    const opening = OpenRepository.open(this.#home, name, this.#with(name));
    this.#open.set(name, opening);
    opening.catch(() => this.#open.delete(name));
    return opening;
  }

  #openedOffline(name: string): Promise<Repository> {
    const opened = this.#offline.get(name);
    if (opened !== undefined) return opened;
    const { storage } = this.#home.repository(name);
    const opening = Repository.open(name, storage, {
      ...this.#with(name),
      offline: true,
      isKnown: true,
    });
    this.#offline.set(name, opening);
    opening.catch(() => this.#offline.delete(name));
    return opening;
  }

  async #close(name: string): Promise<void> {
    const offline = this.#offline.get(name);
    this.#offline.delete(name);
    await (await offline?.catch(() => undefined))?.close();
    const opening = this.#open.get(name);
    this.#open.delete(name);
    const opened = await opening?.catch(() => undefined);
    await opened?.close();
  }
}

/** What tells places apart: a directory by its real name, which must be there, or part of a service. */
async function realPlace(storage: string): Promise<string> {
  const place = storagePlace(storage);
  if (place.kind === 'local') return realpath(place.directory);
  const { endpoint, account } = place.options;
  const service = { ...(endpoint && { endpoint }), ...(account && { account }) };
  return formatStorageUrl({ ...place, options: service });
}
