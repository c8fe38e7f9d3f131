import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BringResult, ConflictRow } from '../../src/daemon/protocol/merging.js';
import { Shell } from './shell.js';

const GLARE = 'incident-2025-06-14-8421-glare';

let shell: Shell;

/** Commits files, path to text; resolves to the commit's id. */
async function commit(branch: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    const file = await shell.file(`files/${branch}/${path}`, content);
    await shell.must('put', file, `drive/${branch}/${path}`);
  }
  const args = ['commit', `drive/${branch}`, '-m', `Change ${Object.keys(files).join(' ')}`];
  return (await shell.json<{ commit: string }>(...args)).commit;
}

beforeAll(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
  await commit('main', { 'labels/a.json': 'a', 'labels/b.json': 'b', 'raw/x': 'x' });
  await shell.must('branch', 'create', `drive/${GLARE}`);
  await shell.must('tag', 'create', 'drive/prod-2025-08-15', 'main');
});
afterAll(() => shell.dispose());

describe('merging from the command line', () => {
  it('promotes a branch with its context', async () => {
    const theirs = await commit(GLARE, { 'labels/a.json': 'a2', 'labels/c.json': 'c' });
    const ours = await commit('main', { 'raw/x': 'x2' });
    const dry = await shell.must('merge', `drive/${GLARE}`, 'main', '--dry-run');
    expect(dry).toBe(`would merge ${GLARE} into drive/main: 1 added, 1 changed, 0 removed\n`);
    const said = ['-m', 'Fix the glare filter', '--meta', 'calibration=v7'];
    const made = await shell.json<BringResult>('merge', `drive/${GLARE}`, 'drive/main', ...said);
    expect(made).toMatchObject({
      result: 'done',
      onto: ours,
      fastForward: false,
      added: 1,
      changed: 1,
      removed: 0,
      before: { entries: 3 },
      after: { entries: 4 },
    });
    expect(await shell.json('show', 'drive/main')).toMatchObject({
      commit: made.commit,
      parents: [ours, theirs],
      message: 'Fix the glare filter',
      metadata: { calibration: 'v7' },
    });
    expect(await shell.must('cat', 'drive/main/labels/a.json')).toBe('a2');
    expect(await shell.must('merge', `drive/${GLARE}`, 'main')).toBe(
      `nothing to merge: drive/main stays at ${String(made.commit).slice(0, 12)}\n`,
    );
    const bases = await shell.must('merge-base', 'drive/main', GLARE);
    expect(bases).toBe(`${theirs}\n`);
  });

  it('lists conflicts with their versions, changes nothing, and takes preferences', async () => {
    await commit(GLARE, { 'labels/a.json': 'theirs', 'raw/x': 'theirs' });
    const head = await commit('main', { 'labels/a.json': 'ours', 'raw/x': 'our own' });
    const told = await shell.tarn(['merge', `drive/${GLARE}`, 'main']);
    expect(told.code).toBe(3);
    expect(told.stdout).toMatch(
      /^labels\/a\.json\n {2}base +2 B .*\n {2}ours +4 B .*\n {2}theirs +6 B/,
    );
    expect(told.stderr).toMatch(
      /2 paths conflict with commit [0-9a-f]{12}: drive\/main is as it was\nhint: .*--prefer/,
    );
    const asked = await shell.tarn(['merge', `drive/${GLARE}`, 'main', '--json']);
    expect(asked.code).toBe(3);
    const lines = asked.stdout.trimEnd().split('\n');
    const [first, second, summary] = lines.map((line) => JSON.parse(line) as object);
    expect(first).toMatchObject({ path: 'labels/a.json', base: { size: 2 }, ours: { size: 4 } });
    expect((second as ConflictRow).theirs).toMatchObject({
      kind: 'file',
      size: 6,
      mode: '0644',
      content: expect.stringMatching(/^sha256:/) as string,
    });
    expect(summary).toMatchObject({ result: 'conflicts', conflicts: 2, onto: head });
    expect((await shell.json<{ commit: string }>('show', 'drive/main')).commit).toBe(head);
    const sides = ['--prefer', 'dst', '--prefer', 'src:labels/**'];
    const made = await shell.json<BringResult>('merge', `drive/${GLARE}`, 'main', ...sides);
    expect(made.settled).toBe(2);
    expect(await shell.must('cat', 'drive/main/labels/a.json')).toBe('theirs');
    expect(await shell.must('cat', 'drive/main/raw/x')).toBe('our own');
  });

  it('keeps what is staged on both sides out of it', async () => {
    await commit(GLARE, { 'labels/d.json': 'd' });
    const file = await shell.file('staged', 'staged');
    await shell.must('put', file, `drive/${GLARE}/staged-there`);
    await shell.must('put', file, 'drive/main/staged-here');
    const told = await shell.tarn(['merge', `drive/${GLARE}`, 'main']);
    expect(told).toMatchObject({ code: 0 });
    expect(told.stderr).toContain('the source has staged changes');
    expect(await shell.must('ls', 'drive/main@')).toBe('labels/\nraw/\n');
    expect(await shell.must('status', 'drive/main')).toContain('staged-here');
    await shell.must('commit', 'drive/main', '-m', 'staged before the merge');
    expect(await shell.must('ls', 'drive/main@/labels')).toContain('d.json');
  });

  it('moves without a commit, or squashes, where it is told to', async () => {
    await shell.must('branch', 'create', 'drive/audit', '--from', GLARE);
    const theirs = await commit(GLARE, { 'labels/e.json': 'e' });
    const moved = await shell.must('merge', `drive/${GLARE}`, 'audit', '--ff');
    expect(moved).toMatch(
      /^[0-9a-f]{12} on drive\/audit: merged .* \(fast-forward, no new commit\)/,
    );
    expect(await shell.json('show', 'drive/audit')).toMatchObject({ commit: theirs });
    const squashed = await shell.json<BringResult>('merge', 'drive/audit', 'main', '--squash');
    const { parents } = await shell.json<{ parents: string[] }>('show', 'drive/main');
    expect(parents).toEqual([squashed.onto]);
  });

  it('reverts and repeats commits', async () => {
    const bad = await commit('main', { 'raw/x': 'bad' });
    await commit('main', { 'raw/y': 'later' });
    const undone = await shell.must('revert', 'drive/main', bad, '-m', 'It was bad');
    expect(undone).toMatch(
      /on drive\/main: reverted [0-9a-f]{64}: 0 added, 1 changed, 0 removed\n$/,
    );
    expect(await shell.must('cat', 'drive/main/raw/x')).toBe('our own');
    expect(await shell.must('revert', 'drive/main', bad)).toContain('nothing to revert');
    await shell.must('branch', 'create', 'drive/replay', '--from', 'audit');
    const picked = await shell.json<BringResult>('cherry-pick', 'drive/replay', 'main~1');
    expect(picked).toMatchObject({ result: 'done', commits: 1, added: 1 });
    const shown = await shell.json<{ message: string }>('show', 'drive/replay');
    expect(shown.message).toMatch(/^Change raw\/y\n\n\(cherry picked from commit [0-9a-f]{64}\)$/);
    const clash = await shell.tarn(['cherry-pick', 'drive/replay', 'main~1', bad]);
    expect(clash.code).toBe(3);
  });

  it('moves a branch to another commit, says how to come back, and keeps what is staged', async () => {
    const { commit: was } = await shell.json<{ commit: string }>('show', 'drive/replay');
    await shell.must('put', await shell.file('staged'), 'drive/replay/staged');
    const asked = await shell.tarn(['reset', 'drive/replay', 'audit']);
    expect(asked).toMatchObject({ code: 2 });
    const told = await shell.must('reset', 'drive/replay', 'audit', '--yes');
    expect(told).toContain(`was at ${was}`);
    const { commit: audit } = await shell.json<{ commit: string }>('show', 'drive/audit');
    expect(await shell.json('show', 'drive/replay@')).toMatchObject({ commit: audit });
    expect(await shell.must('status', 'drive/replay')).toContain('staged');
    const moved = await shell.json('reset', 'drive/replay', was, '--yes');
    expect(moved).toEqual({ branch: 'replay', from: audit, to: was });
    const [newest] = await shell.jsonRows<object>('branch', 'history', 'drive/replay');
    expect(newest).toMatchObject({ why: 'reset' });
  });

  it('merges into a protected branch what says its context, and picks and resets nothing there', async () => {
    await shell.must('branch', 'create', 'drive/release', '--from', 'audit');
    await shell.must('branch', 'protect', 'drive/release');
    await shell.must('repo', 'require', 'drive/release', 'calibration');
    const denied = [
      [['merge', 'drive/main', 'release'], 'calibration'],
      [['merge', 'drive/main', 'release', '--dry-run'], 'calibration'],
      [['cherry-pick', 'drive/release', 'main'], 'protected'],
      [['reset', 'drive/release', 'main', '--yes'], 'protected'],
    ] as const;
    for (const [args, words] of denied) {
      const ran = await shell.tarn(args);
      expect(ran).toMatchObject({ code: 1, stdout: '' });
      expect(ran.stderr).toContain(words);
    }
    await shell.must('merge', 'drive/replay', 'release', '--meta', 'calibration=v7');
    await shell.must(
      'revert',
      'drive/release',
      'release',
      '--mainline',
      '1',
      '--meta',
      'calibration=v7',
    );
  });

  it.each([
    [2, ['merge', 'drive/main', 'main'], "branch 'main' cannot be merged into itself"],
    [2, ['merge', `drive/${GLARE}`, 'main', '--prefer', 'ours'], 'which side is preferred'],
    [2, ['merge', `drive/${GLARE}`, 'main', '--prefer', 'src:a['], "has a '[' without ']'"],
    [2, ['merge', `drive/${GLARE}`, 'main', '--ff', '--squash'], 'exclude each other'],
    [2, ['merge', `drive/${GLARE}`, 'main~1'], 'is not a branch name'],
    [2, ['merge', `drive/${GLARE}`, 'other/main'], "lies in repository 'other'"],
    [1, ['merge', 'drive/nosuch', 'main'], "no branch, tag or commit 'nosuch'"],
    [1, ['merge', 'drive/main', 'nosuch'], "there is no branch 'nosuch'"],
    [1, ['merge', 'drive/main', 'prod-2025-08-15'], "'prod-2025-08-15' is a tag, not a b"],
    [2, ['merge-base', 'drive/main', 'other/main'], "lies in repository 'other'"],
    [2, ['revert', 'drive/main', 'main~1', '--mainline', 'x'], '--mainline takes a whole number'],
    [2, ['revert', 'drive/main', 'main', '--mainline', '2'], 'there is no parent 2'],
    [1, ['cherry-pick', 'drive/main', 'audit~99'], 'goes back too far'],
    [1, ['merge-base', 'drive/main', 'nosuch'], "no branch, tag or commit 'nosuch'"],
  ])('ends with %i: tarn %j', async (code, args, words) => {
    const ran = await shell.tarn(args);
    expect(ran.stderr).toContain(words);
    expect(ran.code).toBe(code);
    expect(ran.stdout).toBe('');
  });

  it('says that the first commit cannot be undone, and how a merge can', async () => {
    const log = await shell.jsonRows<{ commit: string; parents: string[] }>('log', 'drive/main');
    const root = log.at(-1)?.commit ?? '';
    const first = await shell.tarn(['revert', 'drive/main', root]);
    expect(first).toMatchObject({ code: 2 });
    expect(first.stderr).toContain('is the first of its history');
    const merged = log.find(({ parents }) => parents.length === 2)?.commit ?? '';
    for (const verb of ['revert', 'cherry-pick']) {
      const ran = await shell.tarn([verb, 'drive/main', merged]);
      expect(ran).toMatchObject({ code: 2 });
      expect(ran.stderr).toContain('is a merge of 2 parents');
      expect(ran.stderr).toContain('--mainline N');
    }
  });
});
