import { randomBytes } from 'node:crypto';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { Shell } from '../cli/shell.js';

/** A repository `drive` in a bucket of a server of its own, with `run.mcap` committed to `main`. */
export class BucketLog {
  /** Where it was made: `run.mcap` is a file there, and no daemon runs. */
  readonly first: Shell;
  /** Where `repo add` finds it. */
  readonly storage: string;
  readonly #stop: () => Promise<void>;

  private constructor(first: Shell, storage: string, stop: () => Promise<void>) {
    this.first = first;
    this.storage = storage;
    this.#stop = stop;
  }

  /** Commands that are run from now on have what reaches the server in their environment. */
  static async create(bytes: number): Promise<BucketLog> {
    const server = await startStoreServer('moto');
    Object.assign(process.env, server.environment);
    const storage = (await server.makeBucket()).replace('?', '/drive?');
    const first = await Shell.open();
    await first.must('repo', 'create', 'drive', '--storage', storage);
    await first.must('put', await first.file('run.mcap', randomBytes(bytes)), 'drive/main/');
    await first.must('commit', 'drive/main', '-m', 'a log');
    await first.must('daemon', 'stop');
    return new BucketLog(first, storage, () => server.stop());
  }

  async dispose(): Promise<void> {
    await this.first.dispose();
    await this.#stop();
  }
}
