import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DaemonSocket } from '../history/socket.js';
import { middle, timed } from '../history/workloads.js';
import type { Lab } from '../lab.js';
import { makeFiles } from '../many-files.js';
import type { Measurement } from '../report.js';
import { FarBucket } from './far-bucket.js';

const execute = promisify(execFile);
/** Requests that `aws s3 cp --recursive` makes at once if it is not told otherwise. */
const PUTS_AT_ONCE = 10;
const PEER_MS_MAX = 120_000;
const ROUNDS = 5;

/** A peer's name, and the directory where somebody mounts the bucket that it is told. */
export type Peers = Readonly<Record<string, string>>;

/** Many small files: committed to a bucket far away, read from it cold; then one of them changed. */
export async function smallFiles(lab: Lab, count: number, peers: Peers): Promise<Measurement[]> {
  const bucket = await FarBucket.open(lab);
  try {
    const plain = lab.path('labels');
    makeFiles(plain, count, 4096);
    const what = `${count.toLocaleString('en')} × 4 KiB`;
    const raw = await bucket.rawPut('far', plain, PUTS_AT_ONCE);
    await bucket.forget();
    const tarn = await lab.time(async () => {
      await lab.tarn('put', '-r', plain, 'far/main');
      await lab.tarn('commit', 'far/main', '-m', 'labels');
    });
    const puts = `put -r and commit of ${what}, far; beside a PUT each, ${PUTS_AT_ONCE} at once`;
    return [
      await bucket.line(puts, 's', { disk: raw.seconds, tarn }, 0.05),
      ...(await coldReads(bucket, what, raw.bucket, peers)),
      ...(await oneChange(bucket, count)),
    ];
  } finally {
    await bucket.close();
  }
}

async function coldReads(
  bucket: FarBucket,
  what: string,
  objects: string,
  peers: Peers,
): Promise<Measurement[]> {
  const { lab } = bucket;
  const names = lab.path('names');
  const find = 'cd "$0" && find . -type f -print0 | sort -z > "$1"';
  await lab.run('sh', '-c', find, lab.path('labels'), names);
  const read = (folder: string): Promise<number> =>
    lab.time(() =>
      lab.run('sh', '-c', 'cd "$0" && xargs -0 -a "$1" cat > /dev/null', folder, names),
    );
  const mounted = await bucket.mountCold('far');
  let tarn = 0;
  const { requests } = await bucket.seen(async () => (tarn = await read(mounted)));
  const task = `read ${what} one by one, cold, far`;
  const results = [
    await bucket.line(task, 's', { tarn }),
    await bucket.line('of which requests', 'requests', { tarn: requests }),
  ];
  for (const [name, directory] of Object.entries(peers)) {
    await mountedBySomebody(bucket, objects, directory);
    const disk = await read(directory);
    results.push(await bucket.line(`${task}; beside ${name}`, 's', { disk, tarn }, 0.05));
  }
  return results;
}

/** Asks for the peer's mount of the same files, an object each, and waits for it. */
async function mountedBySomebody(
  { proxy }: FarBucket,
  objects: string,
  directory: string,
): Promise<void> {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
  console.error(
    `mount the bucket ${objects} of ${proxy.endpoint} on ${directory} now ` +
      `(AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY})`,
  );
  const deadline = performance.now() + PEER_MS_MAX;
  while (!(await isMounted(directory))) {
    if (performance.now() > deadline) throw new Error(`nothing was mounted on ${directory}`);
    await sleep(250);
  }
}

async function isMounted(directory: string): Promise<boolean> {
  return execute('mountpoint', ['--quiet', directory]).then(
    () => true,
    () => false,
  );
}

/** One small file is written on a mounted branch and committed. */
async function oneChange(bucket: FarBucket, count: number): Promise<Measurement[]> {
  const { lab, roundTripMs } = bucket;
  await lab.tarn('umount', '--all');
  const mounted = await bucket.mount('far', '--write');
  const socket = new DaemonSocket(lab.path('home', 'run', 'daemon.sock'));
  const times: number[] = [];
  const requests: number[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const seen = await bucket.seen(async () => {
        const number = String(round * 7).padStart(7, '0');
        await writeFile(join(mounted, 'frames-0000', `${number}.json`), `labelled anew ${round}\n`);
        times.push(await timed(() => commit(socket, `label ${round}`)));
      });
      requests.push(seen.requests);
    }
  } finally {
    socket.close();
  }
  const what = `commit of one changed file in ${count.toLocaleString('en')}, far`;
  const trips = { tarn: middle(times) / roundTripMs };
  return [
    await bucket.line(what, 'round trips', trips, 6),
    await bucket.line(`${what}, from its write on`, 'requests', { tarn: middle(requests) }, 6),
  ];
}

function commit(socket: DaemonSocket, message: string): Promise<unknown> {
  const what = { repository: 'far', branch: 'main', message };
  const rest = { metadata: {}, paths: [], wait: false, author: 'bench' };
  return socket.call('commit', { ...what, ...rest });
}
