import { NodeCache } from '../../tree/nodes.js';
import { Home } from '../home.js';
import { OpenRepository } from '../open-repository.js';
import type { JobContext } from './job.js';

/** Decoded tree nodes of all repositories of the thread. */
const NODE_CACHE_BYTES = 50_331_648;
const REPOSITORIES_MAX = 8;

/** The home and the repositories that a thread's jobs were on last, opened once. */
export class KeptOpen {
  readonly #path: string;
  readonly #nodeCache = new NodeCache(NODE_CACHE_BYTES);
  /** The one used last is the last. */
  readonly #repositories = new Map<string, OpenRepository>();
  #home: Home | undefined;

  /** @param home its directory; nothing is opened yet */
  constructor(home: string) {
    this.#path = home;
  }

  /** No other job may run meanwhile. @throws TarnError as OpenRepository.open */
  async contextFor(repository: string): Promise<JobContext> {
    this.#home ??= Home.open(this.#path);
    const found = this.#repositories.get(repository);
    const opened =
      found ?? (await OpenRepository.open(this.#home, repository, { nodeCache: this.#nodeCache }));
    this.#repositories.delete(repository);
    this.#repositories.set(repository, opened);
    const [oldest] = this.#repositories.keys();
    if (this.#repositories.size > REPOSITORIES_MAX) await this.forget(oldest as string);
    return {
      home: this.#home,
      repository: opened.repository,
      staging: opened.staging,
      workspace: (branch) => opened.workspace(branch),
    };
  }

  /** Closes what is open of the repository. */
  async forget(repository: string): Promise<void> {
    const opened = this.#repositories.get(repository);
    this.#repositories.delete(repository);
    await opened?.close();
  }

  async close(): Promise<void> {
    for (const name of [...this.#repositories.keys()]) await this.forget(name);
    this.#home?.close();
    this.#home = undefined;
  }
}
