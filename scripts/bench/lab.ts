import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const TARN = fileURLToPath(new URL('../../../scripts/tarn', import.meta.url));
const BUILT = fileURLToPath(new URL('../../bin/main.cjs', import.meta.url));

/** A folder on the disk under test with a tarn home of its own; all that a workload needs. */
export class Lab {
  readonly root: string;
  readonly driver: string;
  /** Of programs that are run, beside that of this one. */
  readonly environment: Record<string, string> = {};
  readonly #isKept: boolean;

  private constructor(root: string, driver: string, isKept: boolean) {
    this.root = root;
    this.driver = driver;
    this.#isKept = isKept;
  }

  static async open(parent: string | undefined, driver: string): Promise<Lab> {
    const root = await mkdtemp(join(parent ?? tmpdir(), 'tarn-bench-'));
    return new Lab(root, driver, false);
  }

  /** In a folder that stays, with all that is in it. */
  static async kept(root: string, driver: string): Promise<Lab> {
    await mkdir(root, { recursive: true });
    return new Lab(root, driver, true);
  }

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  async run(program: string, ...args: string[]): Promise<string> {
    const { stdout } = await execute(program, args, {
      env: { ...process.env, TARN_HOME: this.path('home'), LC_ALL: 'C', ...this.environment },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  }

  tarn(...args: string[]): Promise<string> {
    return this.run(TARN, ...args);
  }

  /** Wall-clock seconds that `work` takes. */
  async time(work: () => Promise<unknown>): Promise<number> {
    const start = process.hrtime.bigint();
    await work();
    return Number(process.hrtime.bigint() - start) / 1e9;
  }

  /** Starts a fresh daemon on cold kernel caches and mounts `address`; the mounted directory. */
  async mountCold(address: string): Promise<string> {
    await this.tarn('daemon', 'stop');
    await this.tarn('daemon', 'start');
    const directory = this.path('mounted');
    await mkdir(directory, { recursive: true });
    await this.tarn('mount', address, directory, '--driver', this.driver);
    await this.dropCaches();
    return directory;
  }

  async unmount(): Promise<void> {
    await this.tarn('umount', this.path('mounted'));
  }

  /** Writes back and empties the page, dentry and inode caches of the machine. */
  async dropCaches(): Promise<void> {
    await execute('sync');
    writeFileSync('/proc/sys/vm/drop_caches', '3\n');
  }

  /** Highest resident memory of the daemon since it started, MiB. */
  daemonPeakMib(): Promise<number> {
    return this.peakMibOf(this.path('home'));
  }

  /** The same of the daemon of another home. */
  async peakMibOf(home: string): Promise<number> {
    const text = readFileSync(`/proc/${await daemonOf(home)}/status`, 'utf8');
    return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1]) / 1024);
  }

  /** Processor time of the daemon since it started, of all its threads: seconds. */
  async daemonSeconds(): Promise<number> {
    const text = readFileSync(`/proc/${await daemonOf(this.path('home'))}/stat`, 'utf8');
    // Behind the name, which may have anything in it; in hundredths of a second.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  async close(): Promise<void> {
    await this.tarn('umount', '--all', '--force').catch(() => undefined);
    await this.tarn('daemon', 'stop').catch(() => undefined);
    if (!this.#isKept) await rm(this.root, { recursive: true, force: true });
  }
}

async function daemonOf(home: string): Promise<number> {
  const env = { ...process.env, TARN_HOME: home };
  const { stdout } = await execute(TARN, ['daemon', 'status', '--json'], { env });
  const { pid } = JSON.parse(stdout) as { pid: number };
  return pid;
}

export function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, ${memory} GiB, Linux ${release()}, Node ${process.version}`;
}

/** Where the programs that benchmarks use come from. */
const PACKAGES = { fio: 'fio', find: 'findutils' };

/** What keeps benchmarks that use these programs from running here; undefined when they can. */
export function cannotRun(programs: readonly (keyof typeof PACKAGES)[]): string | undefined {
  if (process.getuid?.() !== 0)
    return 'run it as root: cold figures empty the caches of the kernel';
  for (const program of programs) {
    try {
      execFileSync(program, ['--version'], { stdio: 'ignore' });
    } catch {
      return `'${program}' is missing: apt-get install ${PACKAGES[program]}`;
    }
  }
  return existsSync(BUILT) ? undefined : 'build first: npm run build';
}
