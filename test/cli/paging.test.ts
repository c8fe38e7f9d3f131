import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from '../../src/daemon/protocol/terms.js';
import { call } from '../../src/daemon/client.js';
import type { Arguments, OperationName, Row } from '../../src/daemon/protocol.js';
import { ensureBuilt } from '../workspace/built.js';
import { Shell } from './shell.js';

let shell: Shell;

beforeAll(async () => {
  ensureBuilt();
  shell = await Shell.open();
  for (const name of ['drive', 'drive-2', 'arm']) await shell.must('repo', 'create', name);
  const paths = ['a', 'raw/a', 'raw/a-b', 'raw/run-1/x', 'raw/run-1/y', 'raw/run-2/z/1', 'raw/z'];
  for (const path of paths) await shell.file(`source/${path}`);
  await mkdir(shell.path('source/raw/empty'), { recursive: true });
  await mkdir(shell.path('source/raw/run-1/also-empty'), { recursive: true });
  await shell.must('put', '-r', shell.path('source'), 'drive/main');
  await shell.must('commit', 'drive/main', '-m', 'a morning in the low sun');
  await shell.must('rm', 'drive/main/raw/run-1/x');
  for (const name of ['incident-2025-06-14-8421-glare', 'labels', 'labels-v2']) {
    await shell.must('branch', 'create', `drive/${name}`);
    await shell.must('tag', 'create', `drive/prod-${name}`);
  }
});
afterAll(() => shell.dispose());

async function rowsOf<K extends OperationName>(name: K, args: Arguments<K>): Promise<Row<K>[]> {
  const rows: Row<K>[] = [];
  await call(shell.socket, name, args, { onRow: (row) => void rows.push(row) });
  return rows;
}

/** All rows, gathered in pages that each go on from the last row of the one before. */
async function inPages<K extends OperationName>(
  name: K,
  args: Arguments<K>,
  limit: number,
  nameOf: (row: Row<K>) => string,
): Promise<Row<K>[]> {
  const all: Row<K>[] = [];
  for (let page: Page = { limit }; ;) {
    const rows = await rowsOf(name, { ...args, ...page });
    expect(rows.length).toBeLessThanOrEqual(limit);
    all.push(...rows);
    const last = rows.at(-1);
    if (last === undefined) return all;
    page = { limit, after: nameOf(last) };
  }
}

describe('pages of a listing, put together, are the whole of it', () => {
  const places = ['main', 'main@'].flatMap((ref) =>
    ['', 'raw', 'raw/run-1/'].map((path) => [ref, path]),
  );
  it.each(
    places.flatMap((place) => [false, true].map((recursive) => [...place, recursive] as const)),
  )('ls %s %j, recursive %s', async (ref, path, recursive) => {
    const args = {
      repository: 'drive',
      ref: String(ref),
      path: String(path),
      recursive: recursive === true,
      long: false,
    };
    const whole = await rowsOf('ls', args);
    expect(whole.length).toBeGreaterThan(1);
    for (const limit of [1, 2, 100]) {
      expect(await inPages('ls', args, limit, (row) => row.path)).toEqual(whole);
      const shown = (row: (typeof whole)[number]): string =>
        row.kind === 'directory' ? `${row.path}/` : row.path;
      expect(await inPages('ls', args, limit, shown)).toEqual(whole);
    }
    expect(await rowsOf('ls', { ...args, limit: 0 })).toEqual([]);
  });

  it.each(['branch.list', 'tag.list'] as const)('%s', async (operation) => {
    const whole = await rowsOf(operation, { repository: 'drive' });
    expect(whole.length).toBeGreaterThan(2);
    for (const limit of [1, 2, 100]) {
      const pages = await inPages(operation, { repository: 'drive' }, limit, ({ name }) => name);
      expect(pages).toEqual(whole);
    }
  });

  it('repo.list', async () => {
    expect((await inPages('repo.list', {}, 2, ({ name }) => name)).map(({ name }) => name)).toEqual(
      ['arm', 'drive', 'drive-2'],
    );
  });

  it('mounts', async () => {
    const directories = [await shell.mountPoint('mnt-b'), await shell.mountPoint('mnt-a')];
    for (const directory of directories) await shell.must('mount', 'drive/main', directory);
    const first = await shell.jsonRows<{ directory: string }>('mounts', '--limit', '1');
    expect(first).toEqual([expect.objectContaining({ directory: directories[1] })]);
    const after = await shell.must('mounts', '--after', directories[1] ?? '');
    expect(after).toMatch(/^\S*mnt-b {2}drive\/main {2}[0-9a-f]+ {2}\S+\n$/);
    for (const directory of directories) await shell.must('umount', directory);
  });
});

describe('a page on the command line', () => {
  it.each([
    [['ls', 'drive/main/raw', '--limit', '2', '--after', 'raw/a-b'], 'empty/\nrun-1/\n'],
    [['ls', '-r', 'drive/main', '-n', '1', '--after', 'raw/run-1/y'], 'raw/run-2/z/1\n'],
    [['repo', 'list', '--limit', '0'], ''],
  ])('%j', async (args, out) => {
    expect(await shell.must(...args)).toBe(out);
  });

  it.each([
    [['branch', 'list', 'drive', '--after', 'labels'], 'labels-v2 main'],
    [['tag', 'list', 'drive', '-n', '1'], 'prod-incident-2025-06-14-8421-glare'],
    [['repo', 'list', '--after', 'arm', '--limit', '1'], 'drive'],
  ])('%j', async (args, names) => {
    const rows = await shell.jsonRows<{ name: string }>(...args);
    expect(rows.map(({ name }) => name).join(' ')).toBe(names);
  });

  it('is refused where it cannot be meant', async () => {
    const outside = await shell.tarn(['ls', 'drive/main/raw', '--after', 'run-1']);
    expect(outside).toMatchObject({ code: 2 });
    expect(outside.stderr).toContain("'run-1' does not lie in 'raw/'");
    expect(await shell.tarn(['branch', 'list', 'drive', '--limit', 'few'])).toMatchObject({
      code: 2,
    });
  });
});
