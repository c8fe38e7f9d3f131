import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ResolveResult } from '../../src/daemon/protocol/staging.js';
import { Shell } from './shell.js';

const BRANCH = 'drive/labels-v2';

let shell: Shell;
let others: Shell;

async function put(by: Shell, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await by.must('put', await by.file(`files/${path}`, content), `${BRANCH}/${path}`);
  }
}

beforeAll(async () => {
  shell = await Shell.open();
  others = await Shell.open();
  await shell.must('repo', 'create', 'drive', '--storage', shell.path('storage'));
  await others.must('repo', 'add', 'drive', '--storage', shell.path('storage'));
  await shell.must('branch', 'create', BRANCH, '--from', 'main');
  await put(shell, { 'labels/a': 'a', 'labels/b': 'b', 'labels/c': 'c' });
  await shell.must('commit', BRANCH, '-m', 'Labels of run 8421');
});
afterAll(async () => {
  await shell.dispose();
  await others.dispose();
});

it('names what others changed, with each version, and takes one of them for each path', async () => {
  await put(shell, { 'labels/a': 'mine', 'labels/b': 'mine', 'labels/c': 'mine', new: 'mine' });
  expect((await shell.tarn(['conflicts', BRANCH])).code).toBe(0);
  await put(others, { 'labels/a': 'their own', 'labels/b': 'their own' });
  await others.must('rm', `${BRANCH}/labels/c`);
  await others.must('commit', BRANCH, '-m', 'Labels of another');

  const refused = await shell.tarn(['commit', BRANCH, '-m', 'Mine']);
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain("see 'tarn conflicts'");
  const listed = await shell.tarn(['conflicts', BRANCH]);
  expect(listed.code).toBe(3);
  expect(listed.stdout).toMatch(
    /^labels\/a\n {2}base +1 B .*\n {2}ours +4 B .*\n {2}theirs +9 B .*\nlabels\/b\n/,
  );
  expect(listed.stdout).toMatch(/labels\/c\n.*\n {2}ours +4 B .*\n {2}theirs +\(none\)\n/);
  expect(listed.stderr).toContain('3 paths conflict');

  await shell.must('resolve', BRANCH, 'labels/a', '--ours');
  const theirs = await shell.json<ResolveResult>('resolve', BRANCH, 'labels/c', '--theirs');
  expect(theirs).toEqual({ branch: 'labels-v2', path: 'labels/c', side: 'theirs', left: 1 });
  const merged = await shell.file('merged', 'both');
  await shell.must('resolve', BRANCH, 'labels/b', '--file', merged);
  expect((await shell.tarn(['conflicts', BRANCH])).code).toBe(0);
  await shell.must('commit', BRANCH, '-m', 'Both');
  expect(await others.must('cat', `${BRANCH}/labels/a`)).toBe('mine');
  expect(await others.must('cat', `${BRANCH}/labels/b`)).toBe('both');
  expect(await others.must('cat', `${BRANCH}/new`)).toBe('mine');
  expect((await others.tarn(['stat', `${BRANCH}/labels/c`])).code).toBe(1);
});

it('wants one side, and a path that conflicts', async () => {
  for (const sides of [[], ['--ours', '--theirs']]) {
    expect((await shell.tarn(['resolve', BRANCH, 'labels/a', ...sides])).code).toBe(2);
  }
  const none = await shell.tarn(['resolve', BRANCH, 'labels/a', '--ours']);
  expect(none.code).toBe(1);
  expect(none.stderr).toContain("nothing conflicts at 'labels/a'");
});
