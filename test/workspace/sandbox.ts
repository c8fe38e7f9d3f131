import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry, FileEntry } from '../../src/model/entry.js';
import { entrySize } from '../../src/model/entry.js';
import { contentIdOf, EMPTY_CONTENT, sha256 } from '../../src/model/ids.js';
import type { PackId } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { keyFromText } from '../../src/model/path.js';
import { Repository } from '../../src/repo/repository.js';
import type { View } from '../../src/repo/view.js';
import { Home } from '../../src/workspace/home.js';
import { JobThreads, WORKSPACE_JOBS } from '../../src/workspace/jobs/threads.js';
import { Staging } from '../../src/workspace/staging.js';
import type { WorkspaceOptions } from '../../src/workspace/workspace.js';
import { Workspace } from '../../src/workspace/workspace.js';

/** A home with one repository `drive`, in a directory of its own. */
export class Sandbox {
  readonly directory = mkdtempSync(join(tmpdir(), 'tarn-workspace-'));
  readonly home = Home.open(join(this.directory, 'home'));
  readonly threads = new JobThreads(this.home.path, WORKSPACE_JOBS);
  readonly storage: string;
  readonly #closers: (() => void | Promise<void>)[] = [];

  private constructor(storage: string | undefined) {
    this.storage = storage ?? join(this.directory, 'drive');
  }

  static async make(storage?: string): Promise<Sandbox> {
    const sandbox = new Sandbox(storage);
    await (await Repository.create('drive', sandbox.storage, 'rosa')).close();
    sandbox.home.addRepository({ name: 'drive', storage: sandbox.storage });
    return sandbox;
  }

  get target() {
    return { repository: 'drive', branch: 'main' };
  }

  async repository(): Promise<Repository> {
    const repository = await Repository.open('drive', this.storage);
    this.#closers.push(() => repository.close());
    return repository;
  }

  /** @param home of someone else who works on the same repository */
  async workspace(
    branch = 'main',
    home = this.home,
    options: WorkspaceOptions = {},
  ): Promise<Workspace> {
    const staging = new Staging(home.stagingFile('drive'));
    this.#closers.push(() => staging.close());
    return new Workspace(await this.repository(), staging, branch, options);
  }

  anotherHome(): Home {
    const home = Home.open(join(this.directory, `home-${this.#closers.length}`));
    home.addRepository({ name: 'drive', storage: this.storage });
    this.#closers.push(() => home.close());
    return home;
  }

  async closeAll(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }

  async remove(): Promise<void> {
    await this.closeAll();
    await this.threads.close();
    this.home.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const key = (text: string): Key => keyFromText(text);

/** An entry of `size` bytes whose content follows from `seed`; no bytes are stored for it. */
export function fileEntry(seed: string, size = 10): FileEntry {
  const hash = sha256(Buffer.from(seed));
  const base = { kind: 'file', size, mode: 0o644, mtimeSec: 1_749_890_400, mtimeNsec: 0 } as const;
  if (size === 0) return { ...base, content: EMPTY_CONTENT, address: { kind: 'none' } };
  const pack = sha256(Buffer.from(`pack of ${seed}`)) as PackId;
  const address = { kind: 'packed', pack, offset: 8 } as const;
  return { ...base, content: contentIdOf(size, hash), address };
}

export async function scan(view: View, from = ''): Promise<[string, Entry][]> {
  const cursor = view.cursor();
  const found: [string, Entry][] = [];
  const out = { kind: 'file' as const, size: 0, mtimeSec: 0, mtimeNsec: 0, mode: 0 };
  for (let ok = await cursor.seek(key(from)); ok; ok = await cursor.next()) {
    const entry = cursor.entry();
    cursor.attributes(out);
    if (out.size !== entrySize(entry)) throw new Error(`sizes differ at ${cursor.key}`);
    found.push([cursor.key, entry]);
  }
  return found;
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
