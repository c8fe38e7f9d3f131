import { chmod, readdir } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DiffRow } from '../../src/daemon/protocol/history.js';
import { ended, Shell } from './shell.js';

const RUN = 'raw/2025-06-14/run-8421';
const GLARE = 'incident-2025-06-14-8421-glare';

/** A drive: ingest, then labels by three commits on main; a branch that moved a file. */
async function drive(): Promise<{ shell: Shell; commits: Record<string, string> }> {
  const shell = await Shell.open();
  const commits: Record<string, string> = {};
  const commit = async (name: string, branch: string, ...more: string[]): Promise<void> => {
    const made = await shell.json<{ commit: string }>(
      'commit',
      `drive/${branch}`,
      '-m',
      name,
      ...more,
    );
    commits[name] = made.commit;
  };
  const put = async (path: string, bytes: string, branch = 'main'): Promise<void> => {
    await shell.must('put', await shell.file('given', bytes), `drive/${branch}/${path}`);
  };
  await shell.must('repo', 'create', 'drive');
  await put(`${RUN}/camera-1.mcap`, 'camera one');
  await put(`${RUN}/camera-2.mcap`, 'camera two, longer');
  await put('labels/run-8421.json', '{}');
  await commit('Ingest run 8421', 'main', '--meta', 'calibration=v6', '--author', 'Ada');
  await shell.must('tag', 'create', 'drive/prod-2025-08-15', 'main');
  await put('labels/run-8421.json', '{"glare":1}');
  await commit('Label the glare', 'main', '--meta', 'calibration=v7', '--author', 'Rosa');
  await shell.must('branch', 'create', `drive/${GLARE}`, '--from', 'main');
  await put('labels/run-8421.json', '{"glare":2}');
  await commit('Label it again', 'main', '--author', 'Ada');
  await put(`${RUN}/front.mcap`, 'camera one', GLARE);
  await shell.must('rm', '--yes', `drive/${GLARE}/${RUN}/camera-1.mcap`);
  await commit('Call the camera front', GLARE);
  return { shell, commits };
}

describe('what happened to a drive', () => {
  let shell: Shell;
  let commits: Record<string, string>;

  beforeAll(async () => {
    ({ shell, commits } = await drive());
  });
  afterAll(() => shell.dispose());

  const lines = async (...args: string[]): Promise<string[]> =>
    (await shell.must(...args)).trimEnd().split('\n');
  const changes = async (...args: string[]): Promise<string[]> =>
    (await shell.jsonRows<DiffRow>('diff', ...args)).map(({ change, path, from }) =>
      [change, ...(from === undefined ? [] : [from]), path].join(' '),
    );

  it('differs between two refs, given as two or as a range', async () => {
    const wanted = ['changed labels/run-8421.json'];
    expect(await changes('drive/main~1', 'main')).toEqual(wanted);
    expect(await changes('drive/prod-2025-08-15..main')).toEqual(wanted);
    expect(await changes('drive/main~1', 'drive/main', 'labels/')).toEqual(wanted);
    expect(await changes('drive/main~1..main', 'raw')).toEqual([]);
    expect(await changes('drive/main', 'main')).toEqual([]);
    const [row] = await shell.jsonRows<DiffRow>('diff', 'drive/main~2..main~1');
    expect(row).toMatchObject({
      before: { kind: 'file', size: 2, mode: '0644' },
      after: { size: 11 },
    });
    const text = await shell.tarn(['diff', 'drive/main~2', 'main~1']);
    expect(text.stdout).toBe('M        2 B       11 B  labels/run-8421.json\n');
    expect(text.stderr).toContain('1 changed');
  });

  it('differs from where two histories parted', async () => {
    const renamed = `renamed ${RUN}/camera-1.mcap ${RUN}/front.mcap`;
    expect(await changes(`drive/main...${GLARE}`)).toEqual([renamed]);
    expect(await changes(`drive/main..${GLARE}`)).toEqual([
      'changed labels/run-8421.json',
      renamed,
    ]);
    expect(await changes(`drive/main...${GLARE}`, '--no-renames')).toEqual([
      `removed ${RUN}/camera-1.mcap`,
      `added ${RUN}/front.mcap`,
    ]);
    expect(await lines('diff', `drive/main...${GLARE}`, '--name-only')).toEqual([
      `${RUN}/front.mcap`,
    ]);
  });

  it('is totalled by folder and read by pages', async () => {
    const range = `drive/main~3..${GLARE}`;
    const stat = await shell.jsonRows<{ folder: string }>('diff', range, '--stat', '--depth', '2');
    expect(stat.map(({ folder }) => folder)).toEqual(['labels', 'raw/2025-06-14']);
    expect(stat[1]).toMatchObject({ counts: { added: 2 }, bytesBefore: 0, bytesAfter: 28 });
    expect(await lines('diff', range, '--stat')).toHaveLength(2);
    const both = await shell.tarn(['diff', range, '--stat', '--name-only']);
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('exclude each other')]);
    const first = await shell.tarn(['diff', range, '--name-only', '--limit', '2']);
    expect(first.stderr).toContain('there is more');
    const [, last = ''] = first.stdout.trimEnd().split('\n');
    expect(await lines('diff', range, '--name-only', '--after', last)).toEqual([
      `${RUN}/front.mcap`,
    ]);
  });

  it('is staged, for a branch alone', async () => {
    await shell.must('branch', 'create', 'drive/staged', '--from', 'main');
    expect(await changes('drive/staged')).toEqual([]);
    await shell.must('put', await shell.file('new', 'new'), 'drive/staged/calibration/front.yaml');
    await shell.must('rm', '-r', '--yes', 'drive/staged/raw');
    expect(await changes('drive/staged')).toEqual([
      'added calibration/front.yaml',
      `removed ${RUN}/camera-1.mcap`,
      `removed ${RUN}/camera-2.mcap`,
    ]);
    expect(await changes('drive/staged', '--path', 'calibration')).toHaveLength(1);
    expect(await changes('drive/main', 'staged')).toEqual([]);
  });

  it('is logged by path, author, message, time and metadata', async () => {
    const log = async (...args: string[]): Promise<string[]> =>
      (await shell.jsonRows<{ message: string }>('log', ...args)).map(({ message }) => message);
    const all = ['Label it again', 'Label the glare', 'Ingest run 8421', 'Create the repository'];
    expect(await log('drive/main')).toEqual(all);
    expect(await log('drive/main', 'labels/', '--limit', '2')).toEqual(all.slice(0, 2));
    expect(await log('drive/main', RUN)).toEqual(['Ingest run 8421']);
    expect(await log(`drive/${GLARE}`, `${RUN}/front.mcap`)).toEqual(['Call the camera front']);
    expect(await log('drive/main', '--author', 'ada')).toEqual([all[0], all[2]]);
    expect(await log('drive/main', '--grep', 'the glare')).toEqual(['Label the glare']);
    expect(await log('drive/main', '--meta', 'calibration')).toEqual(all.slice(1, 3));
    expect(await log('drive/main', '--meta', 'calibration=v7')).toEqual(['Label the glare']);
    expect(await log('drive/main', '--since', '1 hour ago')).toEqual(all);
    expect(await log('drive/main', '--until', 'yesterday')).toEqual([]);
    expect(await log('drive/main', '--merges')).toEqual([]);
    expect(await log('drive/main', '--after', 'main~1')).toEqual(all.slice(2));
    const short = (commits['Label it again'] ?? '').slice(0, 12);
    expect(await lines('log', 'drive/main', '-n', '1', '--oneline', '--graph')).toEqual([
      `* ${short} Label it again`,
    ]);
    expect(await shell.must('log', 'drive/main~1', '-n', '1', '--graph')).toMatch(
      /^\* commit [0-9a-f]{64}\n\| author Rosa\n\| date .*\n\|\n\|\s+Label the glare\n\|\n\|\s+calibration=v7\n\|\n$/,
    );
  });

  it('is shown and printed as it is kept', async () => {
    const shown = await shell.json('show', 'drive/main~1');
    expect(shown).toMatchObject({ changes: { counts: { changed: 1, added: 0 }, more: false } });
    expect(await shell.must('show', 'drive/main~1')).toContain('changed  1 changed; 2 B -> 11 B');
    const bytes = await shell.must('cat-commit', 'drive/main');
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(commits['Label it again']);
    const row = await shell.json('cat-commit', 'drive/prod-2025-08-15');
    expect(row).toMatchObject({ commit: commits['Ingest run 8421'], author: 'Ada' });
  });

  it('is blamed, file by file', async () => {
    const rows = await shell.jsonRows<{ path: string; commit: string }>('blame', `drive/${GLARE}`);
    expect(rows.map(({ path, commit }) => [path, commit])).toEqual([
      ['labels/run-8421.json', commits['Label the glare']],
      [`${RUN}/camera-2.mcap`, commits['Ingest run 8421']],
      [`${RUN}/front.mcap`, commits['Call the camera front']],
    ]);
    const [only] = await lines('blame', 'drive/main', 'labels/');
    expect(only).toMatch(/^[0-9a-f]{12} .* Ada .* labels\/run-8421\.json +Label it again$/);
    const page = await shell.jsonRows<{ path: string }>(
      ...['blame', `drive/${GLARE}/raw`, '--limit', '1', '--after', `${RUN}/camera-2.mcap`],
    );
    expect(page).toMatchObject([
      { path: `${RUN}/front.mcap`, author: expect.any(String) as string },
    ]);
    expect((await shell.tarn(['blame', 'drive/main/nothing'])).code).toBe(1);
  });

  it('is asked wrongly', async () => {
    const wrong = async (code: number, words: string, ...args: string[]): Promise<void> => {
      const ran = await shell.tarn(args);
      expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(words)]);
    };
    await wrong(2, 'nothing is staged on it', 'diff', 'drive/main~1');
    await wrong(2, 'names one ref', 'diff', 'drive/main..');
    await wrong(2, '--depth is for --stat', 'diff', 'drive/main..main', '--depth', '2');
    await wrong(1, "no branch, tag or commit 'nothing'", 'diff', 'drive/main', 'nothing');
    await wrong(2, "lies in repository 'other'", 'diff', 'drive/main', 'other/main');
    await wrong(2, 'leave no commit', 'log', 'drive/main', '--merges', '--no-merges');
    await wrong(2, 'is not a time', 'log', 'drive/main', '--since', 'once upon');
    await wrong(1, 'is not in this history', 'log', 'drive/main~1', '--after', 'main');
    await wrong(
      2,
      'does not say where',
      'bisect',
      'run',
      'drive/main',
      'main~1',
      'main',
      '--',
      'a',
    );
    const same = ['bisect', 'run', 'drive/main', 'main', 'main', '--', 'test', '{}'];
    await wrong(2, 'are the same one', ...same);
    const turned = ['bisect', 'run', 'drive/main', 'main', 'main~1', '--', 'test', '{}'];
    await wrong(2, 'is not an ancestor', ...turned);
  });
});

describe('bisect', () => {
  let shell: Shell;
  const made: string[] = [];
  const LAST = 12;
  const BROKEN = 8;

  beforeAll(async () => {
    shell = await Shell.open();
    await shell.must('repo', 'create', 'drive');
    for (let n = 1; n <= LAST; n += 1) {
      const state = n < BROKEN ? 'fine' : 'broken';
      const file = await shell.file('state', `${state} ${n}`);
      await shell.must('put', file, 'drive/main/calibration/state');
      const commit = ['commit', 'drive/main', '-m', `Calibrate ${n}`];
      made.push((await shell.json<{ commit: string }>(...commit)).commit);
    }
  });
  afterAll(() => shell.dispose());

  /** What is left of the directories that commits were mounted on. */
  async function leftovers(): Promise<string[]> {
    const mounts = await shell.jsonRows<{ directory: string }>('mounts');
    const left = (await readdir(shell.path('tmp'))).filter((name) =>
      name.startsWith('tarn-bisect-'),
    );
    return [...mounts.map(({ directory }) => directory), ...left];
  }

  async function script(name: string, text: string): Promise<string> {
    const path = await shell.file(name, `#!/bin/sh\n${text}\n`);
    await chmod(path, 0o755);
    return path;
  }

  async function bisect(options: readonly string[], ...command: string[]) {
    await shell.file('tmp/here', '');
    const args = ['bisect', 'run', 'drive/main', `main~${LAST - 1}`, 'main', ...options];
    return shell.tarn([...args, '--', ...command], { env: { TMPDIR: shell.path('tmp') } });
  }

  it('mounts commits, asks the command and names the first bad one', async () => {
    const judge = await script('replay.sh', 'grep -q fine "$1/calibration/state"');
    const ran = await bisect(['--json'], judge, '{}');
    expect(ran.code).toBe(0);
    const { first, steps } = JSON.parse(ran.stdout) as {
      first: { commit: string };
      steps: { verdict: string }[];
    };
    expect(first.commit).toBe(made[BROKEN - 1]);
    expect(steps.length).toBeLessThanOrEqual(4);
    expect(await leftovers()).toEqual([]);
    const text = await bisect([], judge, '{}');
    expect(text.stdout).toContain(`first bad commit ${made[BROKEN - 1]}`);
    expect(text.stderr).toContain('commits left, about');
  });

  it('takes the id where nothing is to be mounted, and skips what cannot be judged', async () => {
    const judge = await script(
      'by-id.sh',
      [
        `[ "$1" = ${made[BROKEN - 2]} ] && exit 125`,
        ...made.slice(0, BROKEN - 1).map((id) => `[ "$1" = ${id} ] && exit 0`),
        'exit 3',
      ].join('\n'),
    );
    const ran = await bisect(['--no-mount', '--json'], judge, '{}');
    expect(ran.code).toBe(1);
    const { candidates } = JSON.parse(ran.stdout) as { candidates: { commit: string }[] };
    expect(candidates.map(({ commit }) => commit)).toEqual([made[BROKEN - 1], made[BROKEN - 2]]);
  });

  it('ends, unmounted, when the command does not judge or cannot be run', async () => {
    const strange = await bisect([], await script('strange.sh', 'exit 200'), '{}');
    expect(strange).toMatchObject({ code: 1 });
    expect(strange.stderr).toContain('ended with 200, which says neither good nor bad');
    const missing = await bisect([], shell.path('missing.sh'), '{}');
    expect(missing).toMatchObject({ code: 2 });
    expect(missing.stderr).toContain('cannot be run');
    expect(await leftovers()).toEqual([]);
  });

  it('unmounts when it is interrupted, also twice', async () => {
    const judge = await script('slow.sh', 'trap "" INT; echo ready; exec sleep 60');
    const args = ['bisect', 'run', 'drive/main', `main~${LAST - 1}`, 'main', '--', judge, '{}'];
    const child = shell.start(args, { env: { TMPDIR: shell.path('tmp') } });
    const done = ended(child);
    child.stdout?.once('data', () => {
      child.kill('SIGINT');
      child.kill('SIGINT');
    });
    const ran = await done;
    expect(ran.code).toBe(130);
    expect(await leftovers()).toEqual([]);
  });
});
