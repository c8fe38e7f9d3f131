import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Log } from '../../src/daemon/log.js';
import { TarnError } from '../../src/util/errors.js';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tarn-log-'));
  path = join(directory, 'log', 'daemon.jsonl');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe('the log', () => {
  it('has a JSON object a line, with time, level, event and fields', async () => {
    const log = new Log(path);
    log.info('mounted', { directory: '/mnt/a\nb' });
    log.fault('request', new TarnError('corrupt', 'object x is corrupt'));
    log.close();
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(first).toMatchObject({ level: 'info', event: 'mounted', directory: '/mnt/a\nb' });
    expect(new Date(String(first?.['time'])).getTime()).toBeGreaterThan(0);
    expect(second).toMatchObject({
      level: 'error',
      kind: 'corrupt',
      message: 'object x is corrupt',
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('stays bounded and keeps what was written last', async () => {
    const log = new Log(path);
    const filler = 'x'.repeat(64_000);
    for (let i = 0; i < 400; i += 1) log.info('event', { i, filler });
    log.close();
    const sizes = await Promise.all(
      [path, `${path}.1`].map(async (file) => (await stat(file)).size),
    );
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8 * 1_048_576);
    const last = (await readFile(path, 'utf8')).trim().split('\n').at(-1);
    expect(JSON.parse(String(last))).toMatchObject({ i: 399 });
    const reopened = new Log(path);
    reopened.info('again');
    reopened.close();
    expect((await readFile(path, 'utf8')).trim().split('\n').at(-1)).toContain('again');
  });
});
