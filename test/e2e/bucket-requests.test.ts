import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CountedRequest, CountingProxy } from '../../scripts/lib/counting-proxy.js';
import { startCountingProxy } from '../../scripts/lib/counting-proxy.js';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 180_000;
const LOG = Buffer.alloc(5_000_000, 'a log of a drive ');

let server: StoreServer;
let proxy: CountingProxy;
let shell: Shell;
let url: string;
let options: string[];

beforeAll(ensureBuilt);
beforeAll(async () => {
  server = await startStoreServer('moto');
  proxy = await startCountingProxy(server.endpoint);
  Object.assign(process.env, server.environment);
  const [bucket = ''] = (await server.makeBucket()).split('?');
  url = `${bucket}/drive`;
  await made(url, ['--endpoint', server.endpoint, '--region', 'us-east-1']);
  options = ['--endpoint', proxy.endpoint, '--region', 'us-east-1'];
}, LONG_MS);
afterAll(async () => {
  await proxy.stop();
  await server.stop();
});

/** A repository with a log and some labels. */
async function made(storage: string, near: readonly string[]): Promise<void> {
  const maker = await Shell.open();
  try {
    await maker.must('repo', 'create', 'drive', '--storage', storage, ...near);
    for (const name of ['0', '1', '2']) await maker.file(`src/labels/${name}.json`);
    await maker.file('src/run.mcap', LOG);
    await maker.must('put', '-r', maker.path('src'), 'drive/main');
    await maker.must('commit', 'drive/main', '-m', 'one drive');
    await maker.must('tag', 'create', 'drive/golden', 'main');
  } finally {
    await maker.dispose();
  }
}

/** A home that knows the repository, and has seen nothing else of it. */
beforeEach(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'add', url, ...options);
}, LONG_MS);
afterEach(() => shell.dispose(), LONG_MS);

/** What was asked for, such as `1 put packs`: those of one number wait for none of them. */
async function asked(work: () => Promise<unknown>): Promise<string[]> {
  proxy.clear();
  await work();
  return proxy.requests.map(wordsOf).sort();
}

function wordsOf({ method, path, round }: CountedRequest): string {
  const [, , , folder = '', name = ''] = path.split('/');
  const what = folder === 'refs' ? `refs/${name}` : folder;
  return `${round} ${method.toLowerCase()} ${what}`;
}

/** A branch that is mounted is looked at now and then; just after that it is not for seconds. */
async function untilLookedAt(): Promise<void> {
  await proxy.next(({ path }) => path.endsWith('refs/main'));
}

async function readPiece(path: string, offset: number, length: number): Promise<string> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.toString();
  } finally {
    await file.close();
  }
}

describe('requests to a bucket, and which of them wait for others', () => {
  it(
    'a small file that a program writes in a mount is committed by 5, one after the other 2',
    async () => {
      const work = await shell.mountPoint('work');
      await shell.must('mount', '--write', 'drive/main', work);
      for (const bytes of ['first', 'again']) {
        await untilLookedAt();
        const requests = await asked(async () => {
          await writeFile(`${work}/labels/1.json`, bytes);
          await shell.must('commit', 'drive/main', '-m', bytes);
        });
        expect(requests).toEqual([
          '1 get refs/-settings',
          '1 put commits',
          '1 put packs',
          '1 put trees',
          '2 put refs/main',
        ]);
        expect(await readFile(`${work}/labels/1.json`, 'utf8')).toBe(bytes);
      }
      expect(await shell.must('cat', 'drive/main@/labels/1.json')).toBe('again');
    },
    LONG_MS,
  );

  it(
    'a small file is put by 2 and committed by 4, each 2 after one another, when the daemon has seen the branch',
    async () => {
      const put = async (text: string) =>
        shell.must('put', await shell.file('one.json', text), 'drive/main/labels/1.json');
      await put('put once');
      await shell.must('commit', 'drive/main', '-m', 'first');
      expect(await asked(() => put('put again'))).toEqual(['1 get refs/main', '2 put packs']);
      expect(await asked(() => shell.must('commit', 'drive/main', '-m', 'again'))).toEqual([
        '1 get refs/-settings',
        '1 put commits',
        '1 put trees',
        '2 put refs/main',
      ]);
    },
    LONG_MS,
  );

  it(
    'a commit of which nothing is known is mounted by 2, and a piece of a large file read by 3 at once',
    async () => {
      const frozen = await shell.mountPoint('frozen');
      expect(await asked(() => shell.must('mount', 'drive/main@', frozen))).toEqual([
        '1 get refs/main',
        '2 get trees',
      ]);
      const piece = () => readPiece(`${frozen}/run.mcap`, 3_000_000, 4_096);
      proxy.clear();
      expect(await piece()).toBe(LOG.toString('latin1', 3_000_000, 3_004_096));
      expect(proxy.requests.map(wordsOf).sort()).toEqual([
        '1 get files',
        '1 get files',
        '1 get manifests',
      ]);

      // The cache has it all by now, but where the branch is.
      await shell.must('umount', frozen);
      await shell.must('daemon', 'stop');
      const again = await asked(async () => {
        await shell.must('mount', 'drive/main@', frozen);
        await piece();
      });
      expect(again).toEqual(['1 get refs/main']);

      await shell.must('umount', frozen);
      await shell.must('daemon', 'stop');
      await rm(`${shell.home}/cache`, { recursive: true });
      expect(await asked(() => shell.must('mount', 'drive/golden', frozen))).toEqual([
        '1 get refs/golden',
        '2 get trees',
      ]);
    },
    LONG_MS,
  );

  it(
    'a tag and a branch are made by 2, and a branch is mounted for writing by 2',
    async () => {
      await shell.must('ls', 'drive/main');
      for (const kind of ['tag', 'branch']) {
        const made = await asked(() =>
          shell.must(kind, 'create', `drive/new-${kind}`, ...at(kind)),
        );
        expect(made).toEqual(['1 get refs/main', `2 put refs/new-${kind}`]);
      }
      const work = await shell.mountPoint('work');
      expect(await asked(() => shell.must('mount', '--write', 'drive/main', work))).toEqual([
        '1 get refs/main',
        '2 get refs/main',
      ]);
    },
    LONG_MS,
  );

  it(
    'says that the repository is gone where a branch is missing',
    async () => {
      await shell.must('ls', 'drive/main');
      const other = await Shell.open('other');
      try {
        await other.must('repo', 'add', url, ...options);
        await other.must('repo', 'delete', 'drive', '--yes');
      } finally {
        await other.dispose();
      }
      const listed = await shell.tarn(['ls', 'drive/main']);
      expect(listed.code).toBe(1);
      expect(listed.stderr).toContain('there is no repository in');
    },
    LONG_MS,
  );
});

function at(kind: string): string[] {
  return kind === 'tag' ? ['main'] : ['--from', 'main'];
}
