import { rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Shell } from './shell.js';

const LABELS = 'labels/run-8421.json';

let shell: Shell;
let storage: string;

beforeEach(async () => {
  shell = await Shell.open();
  storage = shell.path('drive');
  await shell.must('repo', 'create', 'drive', '--storage', storage);
});

afterEach(() => shell.dispose());

async function put(at: Shell, text: string, to = LABELS): Promise<void> {
  await at.must('put', await at.file('labels.json', text), `drive/main/${to}`);
}

describe('two homes that share a repository', () => {
  let other: Shell;

  beforeEach(async () => {
    other = await Shell.open();
    await other.must('repo', 'add', 'drive', '--storage', storage);
  });

  afterEach(() => other.dispose());

  it('see what the other has committed', async () => {
    await put(shell, 'ours');
    await shell.must('commit', 'drive/main', '-m', 'ours');
    expect(await other.must('cat', `drive/main/${LABELS}`)).toBe('ours');
  });

  it('keep both changes of different paths', async () => {
    await put(shell, 'ours', 'a.json');
    await put(other, 'theirs', 'b.json');
    await shell.must('commit', 'drive/main', '-m', 'ours');
    await other.must('commit', 'drive/main', '-m', 'theirs');
    expect(await shell.must('ls', 'drive/main')).toBe('a.json\nb.json\n');
  });

  it('end a commit of a path that the other has committed with 3, losing nothing', async () => {
    await put(shell, 'ours');
    await put(other, 'theirs');
    await shell.must('commit', 'drive/main', '-m', 'ours');
    const refused = await other.tarn(['commit', 'drive/main', '-m', 'theirs']);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain(LABELS);
    const asJson = await other.tarn(['commit', 'drive/main', '-m', 'theirs', '--json']);
    expect(asJson.code).toBe(3);
    expect(JSON.parse(asJson.stderr)).toMatchObject({ error: { kind: 'conflict' } });
    expect(await other.must('cat', `drive/main/${LABELS}`)).toBe('theirs');
    expect(await other.must('cat', `drive/main@/${LABELS}`)).toBe('ours');
    expect(await other.jsonRows('status', 'drive/main')).toMatchObject([{ path: LABELS }]);
    expect(await shell.jsonRows('log', 'drive/main')).toHaveLength(2);
  });
});

describe('repo add', () => {
  it('follows the hint for a damaged list of repositories, and finds what was staged', async () => {
    await put(shell, 'staged');
    await shell.must('daemon', 'stop');
    await writeFile(shell.path('home', 'repositories.db'), 'this is no database at all, is it?');
    const damaged = await shell.tarn(['repo', 'list']);
    expect(damaged.code).toBe(1);
    expect(damaged.stderr).toContain('repositories.db');
    expect(damaged.stderr).toContain('tarn repo add PLACE');
    for (const suffix of ['', '-wal', '-shm']) {
      await rm(shell.path('home', `repositories.db${suffix}`), { force: true });
    }
    const added = await shell.json('repo', 'add', 'drive', '--storage', storage);
    expect(added).toEqual({ name: 'drive', storage });
    expect(await shell.must('cat', `drive/main/${LABELS}`)).toBe('staged');
  });

  it('calls a repository by the last part of its place, or as it is told', async () => {
    const other = await Shell.open();
    try {
      const called = await other.json<{ name: string }>('repo', 'add', storage, '--name', 'mine');
      expect(called.name).toBe('mine');
      const again = await other.tarn(['repo', 'add', storage]);
      expect(again.stderr).toContain("is known already, as 'mine'");
      const optioned = await other.tarn(['repo', 'add', storage, '--region', 'eu-central-1']);
      expect(optioned.code).toBe(2);
      expect(optioned.stderr).toContain('--region goes with the URL of a bucket');
      const twice = await other.tarn(['repo', 'add', 'a', '--storage', storage, '--name', 'b']);
      expect(twice.code).toBe(2);
    } finally {
      await other.dispose();
    }
  });

  it('refuses what is no repository, a taken name, and to guess where', async () => {
    const none = await shell.tarn(['repo', 'add', 'labels', '--storage', shell.root]);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain(`there is no repository in '${shell.root}'`);
    const taken = await shell.tarn(['repo', 'add', 'drive', '--storage', storage]);
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain("there is a repository 'drive' already");
    const nowhere = await shell.tarn(['repo', 'add', 'labels']);
    expect(nowhere.code).toBe(2);
    expect(nowhere.stderr).toContain('is not a place');
  });
});

describe('branch rename', () => {
  it('takes along what is committed and what is staged', async () => {
    await shell.must('branch', 'create', 'drive/labels');
    const file = await shell.file('labels.json', 'staged');
    await shell.must('put', file, `drive/labels/${LABELS}`);
    const named = await shell.json('branch', 'rename', 'drive/labels', 'labels-v2');
    expect(named).toMatchObject({ name: 'labels-v2' });
    expect(await shell.must('cat', `drive/labels-v2/${LABELS}`)).toBe('staged');
    const rows = await shell.jsonRows<{ name: string }>('branch', 'list', 'drive');
    expect(rows.map(({ name }) => name)).toEqual(['labels-v2', 'main']);
    await shell.must('commit', 'drive/labels-v2', '-m', 'labels');
    await shell.must('branch', 'create', 'drive/labels');
    expect(await shell.must('ls', 'drive/labels')).toBe('');
    expect(await shell.must('ls', 'drive/labels-v2')).toBe('labels/\n');
  });

  it('refuses a branch that is missing, a taken name and one of another repository', async () => {
    const missing = await shell.tarn(['branch', 'rename', 'drive/nosuch', 'labels']);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain("no branch 'nosuch'");
    await shell.must('branch', 'create', 'drive/labels');
    const taken = await shell.tarn(['branch', 'rename', 'drive/labels', 'main']);
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain("the name 'main' is taken by a branch");
    const elsewhere = await shell.tarn(['branch', 'rename', 'drive/labels', 'other/labels']);
    expect(elsewhere.code).toBe(2);
    expect(await shell.must('branch', 'list', 'drive')).toContain('labels');
  });
});

describe('commit metadata', () => {
  it('keeps a key whatever its name', async () => {
    await put(shell, 'ours');
    const pairs = ['__proto__=x', 'constructor=y', 'vehicle=av-07'];
    const options = pairs.flatMap((pair) => ['--meta', pair]);
    await shell.must('commit', 'drive/main', '-m', 'labels', ...options);
    const [newest] = await shell.jsonRows<{ metadata: Record<string, string> }>(
      'log',
      'drive/main',
    );
    const kept = Object.entries(newest?.metadata ?? {}).map(([key, value]) => `${key}=${value}`);
    expect(kept.sort()).toEqual(pairs.sort());
    const twice = ['--meta', '__proto__=x', '--meta', '__proto__=y'];
    expect((await shell.tarn(['commit', 'drive/main', '-m', 'labels', ...twice])).code).toBe(2);
  });
});
