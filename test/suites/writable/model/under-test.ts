import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A directory that programs change, and what its owner does to it meanwhile. */
export interface WritableUnderTest {
  readonly directory: string;
  /** Remembers what is in the directory. */
  commit(): Promise<void>;
  /** Gives up what changed since the last commit. No file is open. */
  reset(): Promise<void>;
  /** Takes the directory away and brings it back. No file is open. */
  remount(): Promise<void>;
  /** Kills what serves the directory, which comes back. */
  kill(): Promise<void>;
  /** Writes what the last commit holds into a new directory. */
  exportCommit(into: string): Promise<void>;
  close(): Promise<void>;
}

/** Makes one whose first commit holds what is in `base`. */
export type WritableSetup = (base: string) => Promise<WritableUnderTest>;

/** A folder on the disk, whose commits are copies. */
export class PlainUnderTest implements WritableUnderTest {
  readonly directory: string;
  readonly #root: string;
  readonly #committed: string;

  protected constructor(root: string) {
    this.#root = root;
    this.directory = join(root, 'directory');
    this.#committed = join(root, 'committed');
  }

  static async create(base: string): Promise<PlainUnderTest> {
    return new PlainUnderTest(await PlainUnderTest.folderOf(base));
  }

  protected static async folderOf(base: string): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'tarn-model-'));
    for (const name of ['directory', 'committed']) await copy(base, join(root, name));
    return root;
  }

  async commit(): Promise<void> {
    await rm(this.#committed, { recursive: true });
    await copy(this.directory, this.#committed);
  }

  async reset(): Promise<void> {
    // The directory itself stays: whoever stands in it goes on.
    await run('find', [this.directory, '-mindepth', '1', '-delete']);
    await run('cp', ['-a', `${this.#committed}/.`, this.directory]);
  }

  async remount(): Promise<void> {}

  async kill(): Promise<void> {}

  async exportCommit(into: string): Promise<void> {
    await copy(this.#committed, into);
  }

  async close(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(to);
  await run('cp', ['-a', `${from}/.`, to]);
}
