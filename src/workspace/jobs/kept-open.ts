import { SqliteContentIndex } from '../../cache/content-index.js';
import type { ObjectCache } from '../../cache/object-cache.js';
import { SqliteVerifiedStamps } from '../../cache/verified-stamps.js';
import { refreshContentIndex } from '../../repo/content-index.js';
import type { TrafficCounts } from '../../store/traffic.js';
import { Traffic } from '../../store/traffic.js';
import { NodeCache } from '../../tree/nodes.js';
import { Home } from '../home.js';
import { openObjectCache } from '../object-cache.js';
import { OpenRepository } from '../open-repository.js';
import type { JobContext } from './job.js';

/** Decoded tree nodes of all repositories of the thread: all that a diff of 10,000 changes reads. */
const NODE_CACHE_BYTES = 167_772_160;
const REPOSITORIES_MAX = 8;
/** Packs that others wrote are looked for this often: a listing of them all. */
const REFRESH_MS = 600_000;

/** The home and the repositories that a thread's jobs were on last, opened once. */
export class KeptOpen {
  readonly #path: string;
  readonly #nodeCache = new NodeCache(NODE_CACHE_BYTES);
  /** The one used last is the last. */
  readonly #repositories = new Map<string, Kept>();
  /** Of each repository, since takeTraffic. */
  readonly #traffic = new Map<string, Traffic>();
  #home: OpenHome | undefined;

  /** @param home its directory; nothing is opened yet */
  constructor(home: string) {
    this.#path = home;
  }

  /** No other job may run meanwhile. @throws TarnError as OpenRepository.open */
  async contextFor(repository: string): Promise<JobContext> {
    this.#home ??= openHome(this.#path);
    const { home, stamps } = this.#home;
    const kept = this.#repositories.get(repository) ?? (await this.#open(this.#home, repository));
    this.#repositories.delete(repository);
    this.#repositories.set(repository, kept);
    const [oldest] = this.#repositories.keys();
    if (this.#repositories.size > REPOSITORIES_MAX) await this.forget(oldest as string);
    const { opened } = kept;
    return {
      home,
      repository: opened.repository,
      staging: opened.staging,
      workspace: (branch) => opened.workspace(branch),
      contentIndex: (signal) => kept.contentIndex(signal),
      stamps,
    };
  }

  /** What was asked of the repository's bucket since the last call, also to open it in vain. */
  takeTraffic(repository: string): TrafficCounts {
    return this.#trafficOf(repository).take();
  }

  /** Closes what is open of the repository. */
  async forget(repository: string): Promise<void> {
    const kept = this.#repositories.get(repository);
    this.#repositories.delete(repository);
    await kept?.close();
  }

  async close(): Promise<void> {
    for (const name of [...this.#repositories.keys()]) await this.forget(name);
    await this.#home?.objectCache.close();
    this.#home?.stamps.close();
    this.#home?.home.close();
    this.#home = undefined;
  }

  async #open({ home, stamps, objectCache }: OpenHome, name: string): Promise<Kept> {
    const traffic = this.#trafficOf(name);
    const shared = { nodeCache: this.#nodeCache, stamps, objectCache, traffic };
    const options = { ...shared, blocking: true, uploads: home.uploadsFolder() };
    const opened = await OpenRepository.open(home, name, options);
    return new Kept(opened, home.contentIndexFile(name));
  }

  #trafficOf(name: string): Traffic {
    const known = this.#traffic.get(name);
    if (known !== undefined) return known;
    const traffic = new Traffic();
    this.#traffic.set(name, traffic);
    return traffic;
  }
}

interface OpenHome {
  readonly home: Home;
  readonly stamps: SqliteVerifiedStamps;
  readonly objectCache: ObjectCache;
}

function openHome(path: string): OpenHome {
  const home = Home.open(path);
  try {
    const objectCache = openObjectCache(home);
    return { home, stamps: new SqliteVerifiedStamps(home.verifiedStampsFile()), objectCache };
  } catch (error) {
    home.close();
    throw error;
  }
}

class Kept {
  readonly opened: OpenRepository;
  readonly #indexFile: string;
  #index: SqliteContentIndex | undefined;
  #refreshedMs = -Infinity;

  constructor(opened: OpenRepository, indexFile: string) {
    this.opened = opened;
    this.#indexFile = indexFile;
  }

  async contentIndex(signal: AbortSignal): Promise<SqliteContentIndex> {
    this.#index ??= new SqliteContentIndex(this.#indexFile);
    const { objects } = this.opened.repository;
    // A bucket is not listed before files are put: what others stored there is found by its own name,
    // and small contents that are equal to some of theirs are stored once more.
    if (objects.localPath === undefined) return this.#index;
    const nowMs = performance.now();
    if (nowMs - this.#refreshedMs >= REFRESH_MS) {
      await refreshContentIndex(objects, this.#index, signal);
      this.#refreshedMs = nowMs;
    }
    return this.#index;
  }

  async close(): Promise<void> {
    this.#index?.close();
    await this.opened.close();
  }
}
