import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Lab } from '../lab.js';
import { makeFiles } from '../many-files.js';
import type { Measurement } from '../report.js';
import { FarBucket } from './far-bucket.js';
import { oneChange } from './one-change.js';

const execute = promisify(execFile);
/** Requests that `aws s3 cp --recursive` makes at once if it is not told otherwise. */
const PUTS_AT_ONCE = 10;
const PEER_MS_MAX = 120_000;

/** A peer's name, and the directory where somebody mounts the bucket that it is told. */
export type Peers = Readonly<Record<string, string>>;

/** Many small files: committed to a bucket far away, read from it cold; then one of them changed. */
export async function smallFiles(
  lab: Lab,
  count: number,
  peers: Peers,
  aws: string | undefined,
): Promise<Measurement[]> {
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
    const task = `put -r and commit of ${what}, far`;
    const each = `${task}; beside a PUT each, ${PUTS_AT_ONCE} at once`;
    return [
      await bucket.line(each, 's', { disk: raw.seconds, tarn }, 0.05),
      ...(await besideAws(bucket, plain, task, tarn, aws)),
      ...(await coldReads(bucket, what, raw.bucket, peers)),
      ...(await oneChange(bucket, count, (round) => {
        return join('frames-0000', `${String(round * 7).padStart(7, '0')}.json`);
      })),
    ];
  } finally {
    await bucket.close();
  }
}

/** The same files sent by Amazon's own program, where it is given. */
async function besideAws(
  bucket: FarBucket,
  plain: string,
  task: string,
  tarn: number,
  aws: string | undefined,
): Promise<Measurement[]> {
  if (aws === undefined) return [];
  const target = `s3://${await bucket.newBucket()}/labels`;
  const upload = ['s3', 'cp', '--recursive', '--only-show-errors', plain, target];
  const { lab, proxy } = bucket;
  const disk = await lab.time(() => lab.run(aws, ...upload, '--endpoint-url', proxy.endpoint));
  return [await bucket.line(`${task}; beside aws s3 cp --recursive`, 's', { disk, tarn }, 0.05)];
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
