import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChangeRow } from '../../src/daemon/protocol/staging.js';
import { Shell } from './shell.js';

let shell: Shell;

beforeAll(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
  for (const path of ['labels/a.json', 'labels/b.json', 'raw/run-8421/x', 'README']) {
    await shell.must('put', await shell.file(`files/${path}`), `drive/main/${path}`);
  }
  await shell.must('commit', 'drive/main', '-m', 'Ingest run-8421');
  await shell.must('tag', 'create', 'drive/prod-2025-08-15', 'main');
  await shell.must('branch', 'create', 'drive/labels-v2');
});
afterAll(() => shell.dispose());

const files = async (at: string): Promise<string[]> =>
  (await shell.jsonRows<{ path: string }>('ls', '-r', at)).map(({ path }) => path);

describe('mv, cp, reset and status from the command line', () => {
  it('moves folders and files, shows it, and takes it back', async () => {
    expect(await shell.must('mv', 'drive/main/labels', 'drive/main/labels-v1')).toBe(
      'staged the move of 2 entries on drive/main\n',
    );
    await shell.must('mv', 'drive/main/README', 'drive/main/raw/');
    expect(await files('drive/main')).toEqual([
      'labels-v1/a.json',
      'labels-v1/b.json',
      'raw/README',
      'raw/run-8421/x',
    ]);
    const changes = await shell.jsonRows<ChangeRow>('status', 'drive/main');
    expect(changes.map(({ change, path, entries }) => [change, path, entries])).toEqual([
      ['removed', 'README', undefined],
      ['added', 'labels-v1/a.json', undefined],
      ['added', 'labels-v1/b.json', undefined],
      ['removed', 'labels/', 2],
      ['added', 'raw/README', undefined],
    ]);
    const page = ['--limit', '1', '--after', 'labels-v1/b.json'];
    expect(await shell.jsonRows('status', 'drive/main', ...page)).toMatchObject([
      { path: 'labels/' },
    ]);
    const some = await shell.tarn(['status', 'drive/main', '--limit', '2']);
    expect(some.stderr).toMatch(/^1 added, 0 changed, 1 removed on .*\nthere is more: /);
    const none = await shell.tarn(['status', 'drive/main', '--after', 'raw/README']);
    expect(none).toMatchObject({ stdout: '', stderr: expect.stringMatching(/^0 added/) as string });
    const unasked = await shell.tarn(['reset', 'drive/main']);
    expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') as string });
    await shell.must('reset', 'drive/main', '--path', 'README', '--path', 'raw', '--yes');
    expect(await files('drive/main')).toEqual([
      'README',
      'labels-v1/a.json',
      'labels-v1/b.json',
      'raw/run-8421/x',
    ]);
    await shell.must('reset', 'drive/main', '--yes');
    expect(await shell.jsonRows('status', 'drive/main')).toEqual([]);
    expect(await shell.must('reset', 'drive/main', '--yes')).toContain('nothing was staged');
  });

  it('copies out of a tag, and overwrites only when told', async () => {
    await shell.must('rm', '-r', '--yes', 'drive/labels-v2/labels');
    await shell.must('cp', 'drive/prod-2025-08-15/labels', 'drive/labels-v2/labels');
    expect(await shell.jsonRows('status', 'drive/labels-v2')).toEqual([]);
    const again = ['cp', 'drive/prod-2025-08-15/labels', 'drive/labels-v2/labels'];
    expect(await shell.tarn(again)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("'drive/labels-v2/labels' already") as string,
    });
    await shell.must(...again, '--force');
    await shell.must('cp', 'drive/main/README', 'drive/labels-v2/labels/');
    expect(await shell.must('cat', 'drive/labels-v2/labels/README')).toBe('files/README');
    expect(await shell.json('commit', 'drive/labels-v2', '-m', 'Copy')).toMatchObject({});
    expect(await files('drive/labels-v2@')).toContain('labels/README');
  });

  it.each([
    [['mv', 'drive/main/nope', 'drive/main/x'], 1, "nothing at 'drive/main/nope'"],
    [['mv', 'drive/main/raw', 'drive/main/raw/deeper'], 2, 'into itself'],
    [['mv', 'drive/main/raw', 'drive/main/raw', '--force'], 2, 'there already'],
    [['cp', 'drive/main/raw', 'drive/main/README/x'], 1, 'is a file'],
    [['mv', 'drive/main/README', 'drive/main/raw'], 1, 'is a folder'],
    [['mv', 'drive/main/README', 'drive/labels-v2/README'], 2, 'one branch'],
    [['mv', 'drive/main@/README', 'drive/main/x'], 2, 'not a branch'],
    [['cp', 'other/main/README', 'drive/main/x'], 2, 'one repository'],
    [['reset', 'drive/main', 'prod-2025-08-15', '--path', 'raw', '--yes'], 2, 'do not go together'],
    [['reset', 'drive/main', 'nope', '--yes'], 1, "'nope'"],
  ] as [string[], number, string][])('refuses %j', async (args, code, words) => {
    const ran = await shell.tarn(args);
    expect(ran.stderr).toContain(words);
    expect(ran.code).toBe(code);
  });

  it('moves a branch to another commit, and back', async () => {
    await shell.must('put', await shell.file('files/new'), 'drive/labels-v2/new');
    const { commit: last } = await shell.json<{ commit: string }>('show', 'drive/labels-v2');
    const { commit: tag } = await shell.json<{ commit: string }>('show', 'drive/prod-2025-08-15');
    expect(await shell.json('reset', 'drive/labels-v2', 'prod-2025-08-15', '--yes')).toEqual({
      branch: 'labels-v2',
      from: last,
      to: tag,
    });
    expect(await files('drive/labels-v2')).toContain('new');
    expect(await files('drive/labels-v2@')).not.toContain('labels/README');
    await shell.must('reset', 'drive/labels-v2', last, '--yes');
    expect(await files('drive/labels-v2@')).toContain('labels/README');
  });
});
