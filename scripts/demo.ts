/**
 * The main job, end to end, with the commands a user would type: record a drive, commit and tag it,
 * change it, mount the tag, and see that the mounted files are the frozen ones; then fix its labels
 * on a branch that is mounted for writing, commit, compare and merge. It works in the user's own
 * tarn home and can be run again: each run makes a tag and a branch of its own.
 *
 * With `--storage URL` the repository lies there; in a bucket, a home of its own then stands for
 * another machine that reads it. `--endpoint`, `--region`, `--profile` and `--account` are those of
 * `tarn repo create`; `--name` is what the repository is called.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { summariseLog } from './sample-drive/mcap-log.js';
import { RUN, recordDrive, writeCalibration, writeLabels } from './sample-drive/record.js';

const TARN = fileURLToPath(new URL('../../scripts/tarn', import.meta.url));
const TEXT = { type: 'string' } as const;

/** Where the repository lies: a URL and how that is reached, as `tarn repo create` takes them. */
interface Storage {
  readonly url: string;
  readonly options: readonly string[];
}

interface Running {
  /** Says nothing, and answers '' when the command failed. */
  readonly quiet?: boolean;
  /** A home beside the user's own. */
  readonly home?: string;
}

/** Runs one tarn command; prints it and what it says. */
async function tarn(
  args: readonly string[],
  { quiet = false, home }: Running = {},
): Promise<string> {
  if (!quiet) console.log(`\n$ tarn ${args.map(shellWord).join(' ')}`);
  const child = spawn(TARN, args, {
    env: { ...process.env, ...(home === undefined ? {} : { TARN_HOME: home }) },
    stdio: ['ignore', 'pipe', quiet ? 'pipe' : 'inherit'],
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (!quiet) process.stdout.write(text);
  });
  child.stderr?.resume();
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (code !== 0 && !quiet)
    throw new Error(`'tarn ${args.join(' ')}' ended with code ${code ?? 'none'}`);
  return code === 0 ? output : '';
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function title(text: string): void {
  console.log(`\n\x1b[1m${text}\x1b[0m`);
}

/** Says what is given on the command line; the repository's name tells the clouds apart. */
function given(): { repository: string; storage: Storage | undefined } {
  const {
    storage: url,
    name,
    ...options
  } = parseArgs({
    options: {
      storage: TEXT,
      name: TEXT,
      endpoint: TEXT,
      region: TEXT,
      profile: TEXT,
      account: TEXT,
    },
  }).values;
  const words = Object.entries(options).flatMap(([key, value]) => [`--${key}`, value]);
  if (url === undefined) {
    if (words.length > 0) throw new Error(`${words[0] ?? ''} goes with --storage URL`);
    return { repository: name ?? 'drive', storage: undefined };
  }
  const kind = isBucket(url) ? url.slice(0, 2) : 'local';
  return { repository: name ?? `drive-${kind}`, storage: { url, options: words } };
}

function isBucket(url: string): boolean {
  return /^(s3|gs|az):\/\//.test(url);
}

function withoutOptions(url: string): string {
  return url.replace(/\/?(\?.*)?$/s, '');
}

/** Unless it is there, also in the bucket, where an earlier run or another machine made it. */
async function makeRepository(): Promise<void> {
  const known = await tarn(['repo', 'show', repository, '--json'], { quiet: true });
  if (known !== '') {
    const { storage: lies } = JSON.parse(known) as { storage: string };
    if (storage === undefined || withoutOptions(lies) === withoutOptions(storage.url)) return;
    throw new Error(`there is a repository '${repository}' in ${lies}: give another --name`);
  }
  if (storage === undefined) return void (await tarn(['repo', 'create', repository]));
  const place = ['--storage', storage.url, ...storage.options];
  if ((await tarn(['repo', 'add', repository, ...place], { quiet: true })) !== '') return;
  await tarn(['repo', 'create', repository, ...place]);
}

/** `base`, or with the first number that no tag or branch has yet. */
async function freeName(kind: 'tag' | 'branch', base: string): Promise<string> {
  const taken = new Set(
    (await tarn([kind, 'list', repository, '--json'], { quiet: true }))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { name: string }).name),
  );
  let name = base;
  for (let n = 2; taken.has(name); n++) name = `${base}-${n}`;
  return name;
}

async function freezeAndChange(recording: string): Promise<string> {
  title('1. Record a drive: an MCAP log, camera frames, a point cloud, calibration, labels');
  await recordDrive(recording);
  await makeRepository();
  title('2. Freeze it: one commit, one tag');
  await tarn(['put', '-r', recording, main]);
  await tarn([
    'commit',
    main,
    '-m',
    'Ingest run-8421, as the car recorded it',
    '--meta',
    'calibration=v7',
    '--meta',
    'guide=v3',
  ]);
  const tag = await freeName('tag', 'golden');
  await tarn(['tag', 'create', `${repository}/${tag}`, 'main']);
  title('3. Life goes on: new labels and a new calibration on main');
  await writeCalibration(recording, 8);
  await writeLabels(recording, 'sun glare');
  await tarn(['put', '-r', recording, main]);
  await tarn([
    'commit',
    main,
    '-m',
    'Calibration v8, glare relabelled',
    '--meta',
    'calibration=v8',
  ]);
  return tag;
}

async function readThroughMount(tag: string, directory: string): Promise<void> {
  title(`4. Mount the tag '${tag}': an ordinary directory, frozen`);
  await tarn(['mount', `${repository}/${tag}`, directory]);
  const log = await summariseLog(join(directory, RUN, 'drive.mcap'));
  console.log(`\nread through the mount: ${join(directory, RUN, 'drive.mcap')}`);
  console.log(`  ${log.messages} messages in ${log.seconds} s:`);
  for (const [topic, count] of Object.entries(log.topics)) console.log(`    ${topic}: ${count}`);
  for (const brake of log.brakes) {
    console.log(`  at ${brake.seconds} s the planner braked hard: ${brake.reason}`);
  }
  title('5. The mounted files are the frozen ones');
  for (const path of ['calibration/front.yaml', 'labels/run-8421.json']) {
    const frozen = await readFile(join(directory, path), 'utf8');
    const now = await tarn(['cat', `${main}/${path}`], { quiet: true });
    if (frozen === now) throw new Error(`${path} is the same in '${tag}' and on main`);
    const line = (text: string): string =>
      text.split('\n').find((one) => /^version|category/.test(one.trim())) ?? '';
    console.log(`  ${path}`);
    console.log(`    in ${tag}: ${line(frozen).trim()}`);
    console.log(`    on main:   ${line(now).trim()}`);
  }
}

async function fixThroughMount(directory: string): Promise<void> {
  const branch = await freeName('branch', 'relabel-glare');
  title('6. Fix the labels on a branch, mounted for writing: any program, any editor');
  await tarn(['branch', 'create', `${repository}/${branch}`, '--from', 'main']);
  await mkdir(directory, { recursive: true });
  await tarn(['mount', '--write', `${repository}/${branch}`, directory]);
  try {
    await writeLabels(directory, 'low sun glare');
    console.log(`\nwritten by a labelling tool: ${join(directory, 'labels/run-8421.json')}`);
    await tarn(['status', `${repository}/${branch}`]);
    const why = ['-m', 'Relabel the glare frames of run-8421', '--meta', 'guide=v3'];
    await tarn(['commit', `${repository}/${branch}`, ...why]);
  } finally {
    await tarn(['umount', directory]);
  }
  title('7. Compare the fix with main, and merge it');
  await tarn(['diff', main, branch, '--stat']);
  await tarn(['merge', `${repository}/${branch}`, main, '-m', 'Glare frames relabelled']);
  const merged = await tarn(['cat', `${main}/labels/run-8421.json`], { quiet: true });
  if (!merged.includes('low sun glare')) throw new Error('the fix is not on main');
}

/** What is in the bucket is all that another machine needs. */
async function readElsewhere({ url, options }: Storage, tag: string): Promise<void> {
  title('8. Another machine: a home that knows nothing but where the bucket is');
  const machine = await mkdtemp(join(tmpdir(), 'tarn-machine-'));
  const [home, directory] = [join(machine, 'home'), join(machine, tag)];
  await mkdir(directory);
  try {
    await tarn(['repo', 'add', url, ...options, '--name', repository], { home });
    await tarn(['log', main, '--limit', '3'], { home });
    await tarn(['mount', `${repository}/${tag}`, directory], { home });
    const log = await summariseLog(join(directory, RUN, 'drive.mcap'));
    console.log(`\nread there, through its mount: ${log.messages} messages in ${log.seconds} s`);
  } finally {
    await tarn(['umount', directory], { quiet: true, home });
    await tarn(['daemon', 'stop'], { quiet: true, home });
    await rm(machine, { recursive: true, force: true });
  }
}

const { repository, storage } = given();
const main = `${repository}/main`;
const recording = await mkdtemp(join(tmpdir(), 'tarn-recording-'));
try {
  const tag = await freezeAndChange(recording);
  const mounts = join(tmpdir(), `tarn-demo-${userInfo().username}`);
  const directory = join(mounts, tag);
  await mkdir(directory, { recursive: true });
  await readThroughMount(tag, directory);
  await fixThroughMount(join(mounts, 'fix'));
  if (storage !== undefined && isBucket(storage.url)) await readElsewhere(storage, tag);
  title('Try next');
  console.log(`  ls -l ${join(directory, RUN)}`);
  console.log(`  scripts/tarn log ${main}`);
  console.log(`  scripts/tarn umount ${directory}`);
} finally {
  await rm(recording, { recursive: true, force: true });
}
