import { readdir, readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 180_000;

let server: StoreServer;
let shell: Shell;

beforeAll(ensureBuilt);
beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
}, LONG_MS);
afterEach(() => shell.dispose(), LONG_MS);
afterAll(() => server.stop());

it(
  'what was prefetched of a bucket is read offline when the bucket is gone; what was not is EIO, and logged',
  async () => {
    shell = await Shell.open();
    const [bucket = '', query = ''] = (await server.makeBucket()).split('?');
    await shell.must('repo', 'create', 'drive', '--storage', `${bucket}/drive?${query}`);
    const log = Buffer.alloc(3_000_000, 'a log of a drive ');
    await shell.file('src/run.mcap', log);
    await shell.file('src/other.bag', Buffer.alloc(2_000_000, 'another '));
    for (let i = 0; i < 20; i += 1) await shell.file(`src/labels/${i}.json`, `label ${i}`);
    await shell.must('put', '-r', shell.path('src'), 'drive/main');
    await shell.must('commit', 'drive/main', '-m', 'one drive');

    const prefetched = await shell.json('prefetch', 'drive/main', '--pattern', '**/*.{mcap,json}');
    expect(prefetched).toMatchObject({ files: 21 });
    const verified = await shell.json('cache', 'verify');
    expect(verified).toMatchObject({ damaged: 0 });
    await shell.must('daemon', 'stop');
    await fetch(`${server.endpoint}/moto-api/reset`, { method: 'POST' });

    const offline = await shell.mountPoint('offline');
    await shell.must('mount', '--offline', 'drive/main', offline);
    expect((await readdir(`${offline}/labels`)).length).toBe(20);
    expect(await readFile(`${offline}/labels/7.json`, 'utf8')).toBe('label 7');
    expect(Buffer.compare(await readFile(`${offline}/run.mcap`), log)).toBe(0);
    await expect(readFile(`${offline}/other.bag`)).rejects.toMatchObject({ code: 'EIO' });
    const said = await readFile(shell.path('home/log/daemon.jsonl'), 'utf8');
    expect(said).toMatch(/object '(files|manifests)\/[^']+' of 's3:[^']+' is not in the cache/);

    const shown = await shell.json<{ fetches: number; hits: number }>('cache', 'show');
    expect(shown.fetches).toBe(0);
    expect(shown.hits).toBeGreaterThan(0);
    const empty = await shell.mountPoint('empty');
    const wrong = await shell.tarn(['mount', '--offline', '--write', 'drive/main', empty]);
    expect(wrong.code).toBe(2);
    await shell.must('umount', offline);
    await expect.poll(() => shell.json('cache', 'prune')).toMatchObject({ bytesLeft: 0 });
  },
  LONG_MS,
);
