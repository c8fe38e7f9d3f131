import { mkdir, readFile } from 'node:fs/promises';
import { killAndWait } from '../cli/shell.js';
import type { WritableUnderTest } from '../suites/writable/model/under-test.js';
import { Sandbox } from './sandbox.js';

const BRANCH = 'drive/labels-v2';

/** A branch mounted for writing by a daemon of its own. */
export class MountedBranch implements WritableUnderTest {
  readonly directory: string;
  readonly sandbox: Sandbox;
  readonly #driver: string;

  private constructor(sandbox: Sandbox, driver: string) {
    this.sandbox = sandbox;
    this.directory = sandbox.path('mounted');
    this.#driver = driver;
  }

  /** Its first commit holds what is in `base`. */
  static async create(base: string, driver: string): Promise<MountedBranch> {
    const sandbox = await Sandbox.create();
    const made = new MountedBranch(sandbox, driver);
    try {
      await mkdir(made.directory);
      await sandbox.tarn('repo', 'create', 'drive');
      await sandbox.tarn('put', '-r', base, 'drive/main');
      await sandbox.tarn('commit', 'drive/main', '-m', 'Ingest');
      await sandbox.tarn('branch', 'create', BRANCH, '--from', 'main');
      await made.#mount();
      return made;
    } catch (error) {
      await sandbox.dispose();
      throw error;
    }
  }

  async commit(): Promise<void> {
    const { sandbox } = this;
    const staged = await sandbox.tarn('status', BRANCH, '--json');
    if (staged.trim() === '') return;
    await sandbox.tarn('commit', BRANCH, '-m', 'Edit');
  }

  async reset(): Promise<void> {
    await this.sandbox.tarn('reset', BRANCH, '--yes');
  }

  async remount(): Promise<void> {
    await this.sandbox.tarn('umount', this.directory);
    await this.#mount();
  }

  async kill(): Promise<void> {
    await killAndWait(await this.daemon());
    // The next command starts a daemon, which mounts again what was mounted.
    await this.sandbox.tarn('status', BRANCH);
  }

  async exportCommit(into: string): Promise<void> {
    await this.sandbox.tarn('get', '-r', `${BRANCH}@/`, into);
  }

  async close(): Promise<void> {
    await this.sandbox.dispose();
  }

  /** Process id of the daemon. */
  async daemon(): Promise<number> {
    const status = JSON.parse(await this.sandbox.tarn('daemon', 'status', '--json')) as {
      pid: number;
    };
    return status.pid;
  }

  async isMounted(): Promise<boolean> {
    return (await readFile('/proc/mounts', 'utf8')).includes(` ${this.directory} `);
  }

  async #mount(): Promise<void> {
    await this.sandbox.tarn('mount', '--write', BRANCH, this.directory, '--driver', this.#driver);
  }
}
