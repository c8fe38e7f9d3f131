import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from './folder.js';
import type { Built, Peer } from './peer.js';

/** Requests in flight while staging. */
const STAGED_AT_ONCE = 32;
const PAGE = 1_000;

export interface LakefsOptions {
  /** `http://127.0.0.1:8000`. */
  readonly address: string;
  readonly key: string;
  readonly secret: string;
  /** A folder of this machine that the server may import from and keep repositories in. */
  readonly folder: string;
}

/** A running lakeFS with a local block store, through its API. */
export class LakefsPeer implements Peer {
  readonly name = 'lakeFS';
  readonly #options: LakefsOptions;
  #repository = '';
  #folder = '';

  constructor(options: LakefsOptions) {
    this.#options = options;
  }

  async build(files: number): Promise<Built> {
    const { folder } = this.#options;
    this.#repository = `bench-${files}-${Date.now().toString(36)}`;
    this.#folder = join(folder, this.#repository);
    await mkdir(this.#folder, { recursive: true });
    makeFolder(this.#folder, files);
    await this.#call('POST', '/repositories', {
      name: this.#repository,
      storage_namespace: `local://${this.#repository}`,
      default_branch: 'main',
    });
    const start = performance.now();
    const { id } = (await this.#in('POST', '/branches/main/import', {
      paths: [{ type: 'common_prefix', path: `local://${this.#folder}/`, destination: '' }],
      commit: { message: 'import' },
    })) as { id: string };
    for (;;) {
      const status = (await this.#in('GET', `/branches/main/import?id=${id}`)) as ImportStatus;
      if (status.error !== undefined) throw new Error(status.error.message);
      if (status.completed) return { seconds: (performance.now() - start) / 1000 };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async createBranch(name: string, from: string): Promise<void> {
    await this.#in('POST', '/branches', { name, source: from });
  }

  async stage(branch: string, paths: readonly string[], round: number): Promise<void> {
    const rest = paths.values();
    const worker = async (): Promise<void> => {
      for (const path of rest) {
        await this.#in('PUT', `/branches/${branch}/objects?path=${encodeURIComponent(path)}`, {
          physical_address: `local://${this.#folder}/${path}`,
          checksum: `${round}-${path.length}`,
          size_bytes: 64 + round,
        });
      }
    };
    await Promise.all(Array.from({ length: STAGED_AT_ONCE }, worker));
  }

  async commit(branch: string, message: string): Promise<string> {
    const { id } = (await this.#in('POST', `/branches/${branch}/commits`, { message })) as {
      id: string;
    };
    return id;
  }

  async diff(left: string, right: string): Promise<number> {
    return this.#count(`/refs/${left}/diff/${right}?type=two_dot&amount=${PAGE}`);
  }

  async merge(source: string, target: string): Promise<void> {
    await this.#in('POST', `/refs/${source}/merge/${target}`, { message: 'merge' });
  }

  async revertNewest(branch: string): Promise<void> {
    await this.#in('POST', `/branches/${branch}/revert`, { ref: branch, parent_number: 0 });
  }

  async lookUp(ref: string, path: string): Promise<void> {
    await this.#in('GET', `/refs/${ref}/objects/stat?path=${encodeURIComponent(path)}`);
  }

  async list(ref: string, prefix: string): Promise<number> {
    const query = `prefix=${encodeURIComponent(prefix)}&delimiter=/&amount=${PAGE}`;
    return this.#count(`/refs/${ref}/objects/ls?${query}`);
  }

  async log(ref: string, path: string): Promise<number> {
    const kind = path.endsWith('/') ? 'prefixes' : 'objects';
    return this.#count(`/refs/${ref}/commits?${kind}=${encodeURIComponent(path)}&amount=${PAGE}`);
  }

  metadataBytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  peakMib(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async close(): Promise<void> {
    await this.#call('DELETE', `/repositories/${this.#repository}`);
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Follows the pages of a listing. */
  async #count(path: string): Promise<number> {
    let count = 0;
    let after = '';
    for (;;) {
      const page = (await this.#in('GET', `${path}&after=${encodeURIComponent(after)}`)) as Page;
      count += page.results.length;
      if (!page.pagination.has_more) return count;
      after = page.pagination.next_offset;
    }
  }

  #in(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#call(method, `/repositories/${this.#repository}${path}`, body);
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const { address, key, secret } = this.#options;
    const response = await fetch(`${address}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from(`${key}:${secret}`).toString('base64')}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    return isJson ? (JSON.parse(text) as unknown) : text;
  }
}

interface ImportStatus {
  readonly completed: boolean;
  readonly error?: { readonly message: string };
}

interface Page {
  readonly results: readonly unknown[];
  readonly pagination: { readonly has_more: boolean; readonly next_offset: string };
}
