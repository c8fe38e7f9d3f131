import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { startStoreServer } from '../../lib/store-servers.js';
import { DaemonSocket } from '../history/socket.js';
import type { Lab } from '../lab.js';
import { makeFiles } from '../many-files.js';
import type { Measurement } from '../report.js';
import { rawS3 } from './raw-s3.js';

const execute = promisify(execFile);
const TARN = fileURLToPath(new URL('../../../../scripts/tarn', import.meta.url));
const RAW_CLIENT = fileURLToPath(new URL('./raw-client.js', import.meta.url));
const COMMITTERS = 8;
/** Staged by each before the clock starts; more than any commits. */
const FILES = 4_000;
const OUTPUT_BYTES_MAX = 256 * 1_048_576;
const MESSAGE = 'one of a race';

/** What one committer was told. */
interface Told {
  readonly commits: readonly string[];
  readonly refused: number;
}

/**
 * Daemons of homes of their own that commit one staged file after the other to one branch, for so many
 * seconds; beside as many processes that replace one small object by the same store's conditional puts.
 * The store is moto, whose conditional puts hold for writers at once.
 */
export async function racingCommits(lab: Lab, seconds: number): Promise<Measurement[]> {
  const server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
  const committers = Array.from({ length: COMMITTERS }, (_, i) => new Committer(lab, i));
  const [first] = committers;
  if (first === undefined) throw new Error('nobody commits');
  try {
    const storage = await server.makeBucket();
    await first.tarn('repo', 'create', 'drive', '--storage', storage.replace('?', '/drive?'));
    makeFiles(lab.path('labels'), FILES, 64);
    for (const each of committers) {
      if (each !== first) await each.tarn('repo', 'add', storage.replace('?', '/drive?'));
      await each.tarn('put', '-r', lab.path('labels'), `drive/main/${each.name}`);
    }
    const bare = await bareReplacements(server.endpoint, new URL(storage).hostname, seconds);
    const before = await requestsOf(committers);
    const told = await Promise.all(committers.map((each) => each.race(seconds)));
    const requests = (await requestsOf(committers)) - before;
    const lost = await countLost(first, told);
    const done = told.flatMap(({ commits }) => commits).length;
    const refused = told.reduce((sum, each) => sum + each.refused, 0);
    const shared = { driver: lab.driver, daemonMib: await first.peakMib() };
    const what = `${COMMITTERS} processes committing to one branch for ${seconds} s`;
    return [
      {
        ...{ ...shared, workload: `${what}; beside the store's conditional PUT by as many` },
        ...{ unit: 'commits/s', disk: bare / seconds, tarn: done / seconds, goal: 0.5 },
      },
      { ...shared, workload: 'for each commit', unit: 'requests', tarn: requests / done },
      {
        ...shared,
        workload: 'commits lost, or there twice',
        unit: 'commits',
        tarn: lost,
        goal: 0,
      },
      { ...shared, workload: 'commits refused, to be tried again', unit: 'commits', tarn: refused },
    ];
  } finally {
    for (const each of committers) await each.stop();
    await server.stop();
  }
}

/** A home with a daemon, as another machine has. */
class Committer {
  readonly name: string;
  readonly #home: string;
  readonly #lab: Lab;

  constructor(lab: Lab, index: number) {
    this.name = `machine-${index}`;
    this.#home = lab.path(this.name);
    this.#lab = lab;
  }

  async tarn(...args: string[]): Promise<string> {
    const env = { ...process.env, TARN_HOME: this.#home };
    const { stdout } = await execute(TARN, args, { env, maxBuffer: OUTPUT_BYTES_MAX });
    return stdout;
  }

  async race(seconds: number): Promise<Told> {
    const socket = new DaemonSocket(`${this.#home}/run/daemon.sock`);
    const commits: string[] = [];
    let refused = 0;
    const paths = await this.#staged();
    const endMs = performance.now() + seconds * 1000;
    try {
      for (const path of paths) {
        if (performance.now() >= endMs) break;
        const what = { repository: 'drive', branch: 'main', message: MESSAGE, paths: [path] };
        try {
          const rest = { metadata: {}, wait: false, author: this.name };
          const { result } = await socket.call('commit', { ...what, ...rest });
          commits.push(String(result['commit']));
        } catch (error) {
          if (!String(error).includes('moved')) throw error;
          refused += 1;
        }
      }
    } finally {
      socket.close();
    }
    return { commits, refused };
  }

  /** That its daemon has made so far. */
  async requests(): Promise<number> {
    const [line = ''] = (await this.tarn('stats', '--json')).split('\n');
    return (JSON.parse(line) as { requests: number }).requests;
  }

  peakMib(): Promise<number> {
    return this.#lab.peakMibOf(this.#home);
  }

  async stop(): Promise<void> {
    await this.tarn('daemon', 'stop').catch(() => undefined);
  }

  async #staged(): Promise<string[]> {
    const text = await this.tarn('status', 'drive/main', '--json');
    const rows = text.split('\n').filter((line) => line !== '');
    return rows.flatMap((line) => (JSON.parse(line) as { path?: string }).path ?? []);
  }
}

async function requestsOf(committers: readonly Committer[]): Promise<number> {
  const counts = await Promise.all(committers.map((each) => each.requests()));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** How often all of them together have replaced the object. */
async function bareReplacements(
  endpoint: string,
  bucket: string,
  seconds: number,
): Promise<number> {
  const client = rawS3(endpoint);
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'raced', Body: 'first' }));
  client.destroy();
  const args = [RAW_CLIENT, 'replace', endpoint, bucket, 'raced', String(seconds)];
  const counts = await Promise.all(
    Array.from({ length: COMMITTERS }, async () => {
      const { stdout } = await execute(process.execPath, args);
      return Number(stdout);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Commits that were told as done and are not in the history just once, and those that nobody was told of. */
async function countLost(reader: Committer, told: readonly Told[]): Promise<number> {
  const text = await reader.tarn('log', 'drive/main', '--json');
  const rows = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { commit: string; message: string });
  const there = rows.filter(({ message }) => message === MESSAGE).map(({ commit }) => commit);
  const times = new Map<string, number>();
  for (const id of there) times.set(id, (times.get(id) ?? 0) + 1);
  const done = new Set(told.flatMap(({ commits }) => commits));
  const wrong = [...done].filter((id) => times.get(id) !== 1).length;
  return wrong + [...times.keys()].filter((id) => !done.has(id)).length;
}
