import { watch } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DaemonSocket, type Answer } from '../history/socket.js';
import type { Lab } from '../lab.js';
import type { Measurement } from '../report.js';

const STALLS = fileURLToPath(
  new URL('../../../../scripts/bench/editing/stalls.mjs', import.meta.url),
);
const IDLE_MS_MAX = 120_000;

/** A branch mounted for writing beside a folder of the disk. */
export class Desk {
  readonly lab: Lab;
  readonly mounted: string;
  /** The folder on the disk. */
  readonly plain: string;
  readonly #repository: string;
  readonly #socket: DaemonSocket;

  private constructor(lab: Lab, repository: string) {
    this.lab = lab;
    this.mounted = lab.path('mounted');
    this.plain = lab.path('plain');
    this.#repository = repository;
    this.#socket = new DaemonSocket(lab.path('home', 'run', 'daemon.sock'));
  }

  /** Mounts `main` of a repository that is there, in a daemon just started that notes its stalls. */
  static async open(lab: Lab, repository: string): Promise<Desk> {
    const desk = new Desk(lab, repository);
    await mkdir(desk.mounted, { recursive: true });
    await mkdir(desk.plain, { recursive: true });
    await writeFile(lab.path('stalls'), '');
    await lab.tarn('daemon', 'stop');
    lab.environment['NODE_OPTIONS'] = `--import=${STALLS}`;
    lab.environment['TARN_BENCH_STALLS'] = lab.path('stalls');
    await lab.tarn('daemon', 'start');
    delete lab.environment['NODE_OPTIONS'];
    await lab.tarn('mount', '--write', `${repository}/main`, desk.mounted, '--driver', lab.driver);
    await desk.longestStallMs();
    return desk;
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.lab.unmount();
    await this.lab.run('rm', '-rf', this.plain);
  }

  /** Asks the daemon without the start of a command. */
  call(operation: string, args: Readonly<Record<string, unknown>>): Promise<Answer> {
    return this.#socket.call(operation, { repository: this.#repository, ...args });
  }

  commit(message: string): Promise<Answer> {
    return this.call('commit', {
      branch: 'main',
      message,
      metadata: {},
      paths: [],
      wait: false,
      author: 'bench',
    });
  }

  /** Until the daemon has stored what programs closed, which it begins a quarter of a second later. */
  async untilIdle(): Promise<void> {
    const deadline = performance.now() + IDLE_MS_MAX;
    let quiet = 0;
    while (quiet < 4) {
      if (performance.now() > deadline) throw new Error('the daemon does not become idle');
      await delay(250);
      const { result } = await this.#socket.call('daemon.status', {});
      const jobs = result['jobs'] as readonly unknown[];
      quiet = jobs.length === 0 ? quiet + 1 : 0;
    }
  }

  /** Longest time that the event loop of the daemon did nothing else, since this was last asked. */
  async longestStallMs(): Promise<number> {
    const file = this.lab.path('stalls');
    const { result } = await this.#socket.call('daemon.status', {});
    const told = new Promise<void>((resolve) => {
      const watcher = watch(file, () => {
        watcher.close();
        resolve();
      });
    });
    process.kill(Number(result['pid']), 'SIGUSR2');
    await told;
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    return Number(lines.at(-1));
  }

  async line(
    workload: string,
    unit: Measurement['unit'],
    figures: { readonly disk?: number; readonly tarn: number },
    goal?: number,
  ): Promise<Measurement> {
    const { driver } = this.lab;
    const daemonMib = await this.lab.daemonPeakMib();
    const bound = goal === undefined || driver !== 'native' ? {} : { goal };
    return { workload, driver, unit, ...figures, daemonMib, ...bound };
  }

  async stallLine(session: string): Promise<Measurement> {
    const tarn = await this.longestStallMs();
    return this.line(`longest stall of the event loop, ${session}`, 'ms', { tarn });
  }
}
