import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { startSlowProxy, type SlowProxy } from '../../lib/slow-proxy.js';
import { startStoreServer, type StoreServer } from '../../lib/store-servers.js';
import { median } from '../history/workloads.js';
import type { Lab } from '../lab.js';
import type { Measurement } from '../report.js';
import { rawS3 } from './raw-s3.js';

const execute = promisify(execFile);
const RAW_CLIENT = fileURLToPath(new URL('./raw-client.js', import.meta.url));
const RANGES_FRONT = fileURLToPath(new URL('./ranges-front.js', import.meta.url));
/** As a store in the same region is. */
const FAR = { latencyMs: 20, bytesPerSecond: 50_000_000 };
const PREFIX = 'tarn';

/**
 * Names of one repository: reached directly, and through the proxy; and both with a server in front that
 * has its large file in memory.
 */
export type Reach = 'near' | 'far' | 'near-memory' | 'far-memory';

/**
 * A repository in a bucket of a server on this machine, known to the lab's home twice: `near` asks the
 * server, `far` a proxy that makes it as far away as a real store.
 */
export class FarBucket {
  readonly lab: Lab;
  readonly proxy: SlowProxy;
  /** Median of requests through the proxy by a client that is connected. */
  readonly roundTripMs: number;
  readonly #server: StoreServer;
  readonly #bucket: string;
  readonly #endpoints = new Map<Reach, string>();
  /** What ends with this, the last first. */
  readonly #started: { stop(): Promise<void> }[];

  private constructor(lab: Lab, server: StoreServer, proxy: SlowProxy, place: Place) {
    this.lab = lab;
    this.#server = server;
    this.proxy = proxy;
    this.#bucket = place.bucket;
    this.#started = [server, proxy];
    this.roundTripMs = place.roundTripMs;
  }

  /** The URL of the repository, reached directly. */
  get storage(): string {
    const endpoint = encodeURIComponent(this.#server.endpoint);
    return `s3://${this.#bucket}/${PREFIX}?endpoint=${endpoint}&region=us-east-1`;
  }

  /** `close` it in every case. */
  static async open(lab: Lab): Promise<FarBucket> {
    const server = await startStoreServer('s3s-fs', { sendsAtOnce: true });
    try {
      const proxy = await startSlowProxy(server.endpoint, FAR);
      Object.assign(process.env, server.environment);
      const bucket = bucketOf(await server.makeBucket());
      await makeRepository(lab, server.endpoint, bucket);
      const roundTripMs = await roundTrip(proxy.endpoint, bucket);
      const opened = new FarBucket(lab, server, proxy, { bucket, roundTripMs });
      await opened.#add('near', server.endpoint);
      await opened.#add('far', proxy.endpoint);
      return opened;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.lab.tarn('umount', '--all', '--force');
    await this.lab.tarn('daemon', 'stop');
    for (const started of this.#started.reverse()) await started.stop();
  }

  /** Starts a server that answers ranges of its large file, whose bytes `file` has, from memory. */
  async answerFromMemory(file: string): Promise<void> {
    const { endpoint: target } = this.#server;
    const front = await startStoreServer('s3s-fs', {
      command: (port) => [process.execPath, RANGES_FRONT, String(port), target, file],
    });
    this.#started.push(front);
    const proxy = await startSlowProxy(front.endpoint, FAR);
    this.#started.push(proxy);
    await this.#add('near-memory', front.endpoint);
    await this.#add('far-memory', proxy.endpoint);
  }

  /** A daemon just started that has nothing of the bucket in its cache. */
  async forget(): Promise<void> {
    await this.lab.tarn('umount', '--all');
    await this.lab.tarn('daemon', 'stop');
    await rm(this.lab.path('home', 'cache'), { recursive: true, force: true });
    await this.lab.tarn('daemon', 'start');
  }

  async mount(reach: Reach, ...options: string[]): Promise<string> {
    const directory = this.lab.path('mounted');
    await mkdir(directory, { recursive: true });
    const driver = ['--driver', this.lab.driver];
    await this.lab.tarn('mount', `${reach}/main`, directory, ...driver, ...options);
    return directory;
  }

  async mountCold(reach: Reach): Promise<string> {
    await this.forget();
    return this.mount(reach);
  }

  /** Seconds in which the raw client reads the repository's largest object, so much of it, in ranges. */
  async rawRead(reach: Reach, bytes: number, atOnce: number): Promise<number> {
    const args = ['get', this.#endpoint(reach), this.#bucket, await this.#largest()];
    return this.#raw([...args, String(bytes), String(atOnce)]);
  }

  /** Its name; it is empty. */
  async newBucket(): Promise<string> {
    return bucketOf(await this.#server.makeBucket());
  }

  /** Seconds in which it puts each file of a folder into a new bucket, which is named. */
  async rawPut(
    reach: Reach,
    folder: string,
    atOnce: number,
  ): Promise<{ bucket: string; seconds: number }> {
    const bucket = await this.newBucket();
    const args = ['put', this.#endpoint(reach), bucket, folder, String(atOnce)];
    return { bucket, seconds: await this.#raw(args) };
  }

  /** Requests that the proxy saw, and the bytes that they brought, while `work` ran. */
  async seen(work: () => Promise<unknown>): Promise<{ requests: number; bytes: number }> {
    const { requests, bytesAnswered } = this.proxy;
    await work();
    return {
      requests: this.proxy.requests - requests,
      bytes: this.proxy.bytesAnswered - bytesAnswered,
    };
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

  async #add(reach: Reach, endpoint: string): Promise<void> {
    this.#endpoints.set(reach, endpoint);
    const options = ['--endpoint', endpoint, '--region', 'us-east-1'];
    await this.lab.tarn(
      'repo',
      'add',
      reach,
      '--storage',
      `s3://${this.#bucket}/${PREFIX}`,
      ...options,
    );
  }

  #endpoint(reach: Reach): string {
    const endpoint = this.#endpoints.get(reach);
    if (endpoint === undefined) throw new Error(`nothing is reached as '${reach}'`);
    return endpoint;
  }

  async #raw(args: readonly string[]): Promise<number> {
    const { stdout } = await execute(process.execPath, [RAW_CLIENT, ...args]);
    return Number(stdout);
  }

  async #largest(): Promise<string> {
    const client = rawS3(this.#server.endpoint);
    const { Contents = [] } = await client.send(
      new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: `${PREFIX}/files/` }),
    );
    client.destroy();
    const [largest] = Contents.sort((a, b) => (b.Size ?? 0) - (a.Size ?? 0));
    if (largest?.Key === undefined) throw new Error('the repository has no large object');
    return largest.Key;
  }
}

interface Place {
  readonly bucket: string;
  readonly roundTripMs: number;
}

/**
 * tarn makes no repository in s3s-fs, whose conditional puts hold for one writer only. A benchmark has
 * one: the empty repository is made in moto and copied.
 */
async function makeRepository(lab: Lab, endpoint: string, bucket: string): Promise<void> {
  const moto = await startStoreServer('moto');
  Object.assign(lab.environment, moto.environment);
  const [from, to] = [rawS3(moto.endpoint), rawS3(endpoint)];
  try {
    const made = bucketOf(await moto.makeBucket());
    const options = ['--endpoint', moto.endpoint, '--region', 'us-east-1'];
    await lab.tarn('repo', 'create', 'made', '--storage', `s3://${made}/${PREFIX}`, ...options);
    await copyAll({ client: from, bucket: made }, { client: to, bucket });
  } finally {
    from.destroy();
    to.destroy();
    await moto.stop();
  }
}

interface Side {
  readonly client: S3Client;
  readonly bucket: string;
}

async function copyAll(from: Side, to: Side): Promise<void> {
  const listed = await from.client.send(new ListObjectsV2Command({ Bucket: from.bucket }));
  for (const { Key } of listed.Contents ?? []) {
    const { Body } = await from.client.send(new GetObjectCommand({ Bucket: from.bucket, Key }));
    const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array(0);
    await to.client.send(new PutObjectCommand({ Bucket: to.bucket, Key, Body: bytes }));
  }
}

async function roundTrip(endpoint: string, bucket: string): Promise<number> {
  const client = rawS3(endpoint);
  const head = new HeadObjectCommand({ Bucket: bucket, Key: `${PREFIX}/tarn.json` });
  const ask = () => client.send(head);
  await ask();
  const ms = await median(9, ask);
  client.destroy();
  return ms;
}

function bucketOf(url: string): string {
  return new URL(url).hostname;
}
