import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  ChangedSettings,
  RefChangeRow,
  SettingsResult,
} from '../../src/daemon/protocol/refs.js';
import { Repository } from '../../src/repo/repository.js';
import type { Ran } from './shell.js';
import { Shell } from './shell.js';

const GLARE = 'incident-2025-06-14-8421-glare';
const CONTEXT = ['--meta', 'calibration=v7', '--meta', 'firmware=4.2.1', '--meta', 'map=sf-12'];

let shell: Shell;

beforeAll(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
  await commit('main', 'raw/2025-06-14/run-8421/camera.mcap', 'first');
});
afterAll(() => shell.dispose());

/** Puts a file and commits it; resolves to the commit's id. */
async function commit(branch: string, path: string, content: string): Promise<string> {
  const file = await shell.file('file', content);
  await shell.must('put', file, `drive/${branch}/${path}`);
  return (await shell.json<{ commit: string }>('commit', `drive/${branch}`, '-m', content)).commit;
}

async function refuses(args: readonly string[], code: number, ...words: string[]): Promise<Ran> {
  const ran = await shell.tarn(args);
  expect(ran.stderr).toMatch(/^tarn: /);
  for (const word of words) expect(ran.stderr).toContain(word);
  expect(ran.code).toBe(code);
  expect(ran.stdout).toBe('');
  return ran;
}

const history = (...args: string[]): Promise<RefChangeRow[]> =>
  shell.jsonRows<RefChangeRow>('branch', 'history', ...args);

const before = (time: string): string => new Date(Date.parse(time) - 1).toISOString();

describe('time in addresses', () => {
  it('is the branch as its history has it, wherever a ref is taken', async () => {
    await commit('main', 'raw/2025-06-14/run-8421/camera.mcap', 'second');
    const [newest, older, made] = await history('drive/main');
    expect(newest).toMatchObject({ why: 'commit', from: older?.to });
    expect(made).toMatchObject({ why: 'repository create' });
    expect(made?.from).toBeUndefined();
    const then = `drive/main@{${before(String(newest?.time))}}`;
    const file = 'raw/2025-06-14/run-8421/camera.mcap';
    expect(await shell.must('cat', `${then}/${file}`)).toBe('first');
    expect(await shell.must('cat', `drive/main@{${newest?.time}}/${file}`)).toBe('second');
    expect(await shell.must('cat', `drive/main@{0 seconds ago}/${file}`)).toBe('second');
    const clock = new Date(String(newest?.time));
    const berlin = clock.toLocaleString('sv-SE', { timeZone: 'Europe/Berlin' });
    const local = `${berlin}.${clock.toISOString().slice(20, 23)} Europe/Berlin`;
    expect(await shell.must('cat', `drive/main@{${local}}/${file}`)).toBe('second');
    expect(await shell.must('cat', `drive/main@{${local}}~1/${file}`)).toBe('first');
    expect(await shell.json('show', then)).toMatchObject({ commit: older?.to });
    await shell.must('branch', 'create', `drive/${GLARE}`, '--from', then.slice('drive/'.length));
    expect(await history(`drive/${GLARE}`)).toMatchObject([{ to: older?.to }]);
    const directory = await shell.mountPoint('then');
    await shell.must('mount', then, directory);
    expect(await readFile(`${directory}/${file}`, 'utf8')).toBe('first');
  });

  it('says what is wrong with it', async () => {
    const [made] = (await history('drive/main')).slice(-1);
    await refuses(['ls', 'drive/main@{2001-01-01}'], 1, `goes back to ${made?.time.slice(0, 19)}`);
    await refuses(['ls', 'drive/main@{2099-01-01}'], 2, 'is in the future');
    await refuses(['ls', 'drive/main@{2025-02-30}'], 2, 'there is no day 2025-02-30');
    await refuses(['ls', 'drive/main@{2025-06-14 17:30 Mars/Olympus}/raw'], 2, "'Mars/Olympus'");
    await refuses(['ls', 'drive/main@{whenever}'], 2, "'whenever' is not a time", 'hint: write it');
    await refuses(['ls', 'drive/main@{yesterday/raw'], 2, 'is not a ref');
    await refuses(['ls', 'drive/nosuch@{now}'], 1, "no branch, tag or commit 'nosuch'");
    await refuses(['put', shell.path('file'), 'drive/main@{now}/x'], 2, 'only a branch can be');
  });

  it('follows a branch that was renamed, and knows when one was deleted', async () => {
    await shell.must('branch', 'create', 'drive/labels', '--from', 'main');
    const [made] = await history('drive/labels');
    await shell.must('branch', 'rename', 'drive/labels', 'labels-v2');
    await shell.must('ls', `drive/labels-v2@{${made?.time}}`);
    await refuses(['ls', 'drive/labels@{now}'], 1, "was renamed to 'labels-v2'");
    await shell.must('branch', 'delete', 'drive/labels-v2', '--yes');
    await refuses(['ls', 'drive/labels-v2@{now}'], 1, 'it was deleted at');
    expect(await shell.must('branch', 'history', 'drive/labels-v2')).toMatch(
      /^\d+ {2}\S+ \S+ {2}\w{12} → - {13}branch delete, by .*\n.*branch rename from labels, by/,
    );
  });
});

describe('the history of a branch', () => {
  it('is listed in pages', async () => {
    const all = await history('drive/main');
    const [first, second] = all;
    expect(await history('drive/main', '--limit', '1')).toEqual([first]);
    const after = ['--limit', '1', '--after', String(first?.number)];
    expect(await history('drive/main', ...after)).toEqual([second]);
    expect(await history('drive/main', '--after', String(all.at(-1)?.number))).toEqual([]);
    await refuses(['branch', 'history', 'drive/main', '--after', 'x'], 2, 'number of a change');
    await refuses(['branch', 'history', 'drive/nosuch'], 1, "never had a branch 'nosuch'");
    await refuses(['tag', 'history', 'drive/nosuch'], 1, "never had a tag 'nosuch'");
  });
});

describe('an ancestor far back', () => {
  it('is found, and one too far is not', async () => {
    const { storage } = await shell.json<{ storage: string }>('repo', 'show', 'drive');
    const repository = await Repository.open('drive', storage);
    try {
      const { commitId: from, commit: root } = await repository.resolve('main');
      await repository.createRef('branch', 'deep', from, 'rosa');
      let tip = from;
      for (let i = 0; i < 150; i += 1) {
        tip = await repository.commits.save({ ...root, parents: [tip], message: `step ${i}` });
      }
      await repository.resetBranch({ branch: 'deep', from, to: tip, by: 'rosa' });
      const made = ['branch', 'create', 'drive/back', '--from', 'deep~150'];
      expect(await shell.json(...made)).toMatchObject({ commit: from });
      expect(await shell.must('ls', 'drive/deep~149')).toBe('raw/\n');
      await refuses(['ls', 'drive/deep~200'], 1, "'deep~200' goes back too far");
    } finally {
      await repository.close();
    }
  });
});

describe('guards of the promotion', () => {
  it('are set, shown with their date, and set again without effect', async () => {
    expect(await shell.must('branch', 'protect', 'drive/main')).toBe(
      'drive/main is protected: only merges change it\n',
    );
    expect(await shell.must('branch', 'protect', 'drive/main')).toContain('protected already');
    expect(await shell.must('tag', 'protect', 'drive', 'prod-*')).toContain('cannot be deleted');
    const keys = ['calibration', 'firmware', 'map'];
    expect(await shell.must('repo', 'require', 'drive/main', ...keys)).toBe(
      'commits on drive/main must say calibration, firmware, map\n',
    );
    const shown = await shell.must('repo', 'show', 'drive');
    expect(shown).toContain('branch main is protected: only merges change it');
    expect(shown).toContain('tag prod-* is protected: it cannot be deleted');
    expect(shown).toContain('commits on main must say calibration, firmware, map');
    expect(shown).toMatch(/since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, by /);
    const { settings } = await shell.json<{ settings: SettingsResult }>('repo', 'show', 'drive');
    expect(settings).toMatchObject({ settings: { metadata: { main: { required: keys } } } });
  });

  it('let only a merge that says its context into main', async () => {
    await commit(GLARE, 'labels/a.json', 'fixed');
    const file = await shell.file('file', 'direct');
    await shell.must('put', file, 'drive/main/labels/direct.json');
    const direct = ['commit', 'drive/main', '-m', 'direct', ...CONTEXT];
    await refuses(direct, 1, "branch 'main' of 'drive' is protected", 'tarn merge');
    expect(await shell.must('status', 'drive/main')).toContain('labels/direct.json');
    const merge = ['merge', `drive/${GLARE}`, 'main', '-m', 'Fix the glare filter'];
    await refuses(merge, 1, 'calibration, firmware and map are missing', '--meta map=…');
    await shell.must(...merge, ...CONTEXT);
    await shell.must('tag', 'create', 'drive/prod-2025-08-15');
    await refuses(['tag', 'delete', 'drive/prod-2025-08-15', '--yes'], 1, "(by 'prod-*')", '--off');
    await refuses(['tag', 'create', 'drive/prod-2025-08-15', GLARE], 1, 'already, at commit');
    await refuses(['branch', 'delete', 'drive/main', '--yes'], 1, 'cannot be deleted', '--off');
    await refuses(['branch', 'rename', 'drive/main', 'old'], 1, 'cannot be renamed');
    expect(await shell.must('cat', 'drive/prod-2025-08-15/labels/a.json')).toBe('fixed');
  });

  it('take a schema', async () => {
    const schema = { properties: { calibration: { pattern: '^v[0-9]+$' } } };
    const file = await shell.file('context.json', JSON.stringify(schema));
    const rule = ['repo', 'require', `drive/${GLARE}`, 'calibration', '--schema', file];
    expect(await shell.must(...rule)).toContain('must say calibration and fit the schema');
    await shell.must('put', file, `drive/${GLARE}/labels/b.json`);
    const commits = ['commit', `drive/${GLARE}`, '-m', 'b', '--meta'];
    await refuses([...commits, 'calibration=seven'], 1, "'calibration' must match pattern");
    await shell.must(...commits, 'calibration=v7');
    await shell.must('repo', 'require', `drive/${GLARE}`, '--off');
    expect(await shell.must('repo', 'require', `drive/${GLARE}`, '--off')).toContain('nothing was');
  });

  it('are kept in versions', async () => {
    const rows = await shell.jsonRows<RefChangeRow>('repo', 'settings', 'drive', '--history');
    expect(rows.map(({ why }) => why)).toEqual([
      `repo require ${GLARE}`,
      `repo require ${GLARE}`,
      'repo require main',
      'tag protect prod-*',
      'branch protect main',
    ]);
    const text = await shell.must('repo', 'settings', 'drive', '--history', '--limit', '1');
    expect(text).toContain(`repo require ${GLARE}, by `);
    const first = String(rows.at(-1)?.time);
    const at = async (time: string): Promise<unknown> =>
      JSON.parse(await shell.must('repo', 'settings', 'drive', '--at', time));
    const none = { version: 1, protectedBranches: [], protectedTags: [], metadata: {} };
    expect(await at(first)).toEqual({ ...none, protectedBranches: ['main'] });
    expect(await at(before(first))).toEqual(none);
    await refuses(['repo', 'settings', 'drive', '--at', '2099-01-01'], 2, 'in the future');
    await refuses(['repo', 'settings', 'drive', '--at', 'whenever'], 2, 'not a time');
  });

  it('are replaced whole, and never by nonsense', async () => {
    const now = await shell.must('repo', 'settings', 'drive');
    const set = async (text: string): Promise<string[]> => [
      ...['repo', 'settings', 'drive', '--set'],
      await shell.file('settings.json', text),
    ];
    expect(await shell.must(...(await set(now)))).toContain('are these already');
    await refuses(await set('{'), 2, 'are not JSON');
    await refuses(await set('{"protect":["main"]}'), 2, "'protect' that is not known");
    const impossible = { metadata: { main: { required: ['map'], schema: { maxProperties: 0 } } } };
    await refuses(await set(JSON.stringify(impossible)), 2, 'no commit could satisfy', "'main'");
    const nosuch = ['repo', 'settings', 'drive', '--set', shell.path('nosuch')];
    await refuses(nosuch, 1, `there is no file '${shell.path('nosuch')}'`);
    expect(await shell.must('repo', 'settings', 'drive')).toBe(now);
    const made = await shell.json<ChangedSettings>(...(await set('{}')));
    expect(made).toMatchObject({ changed: true, settings: { protectedBranches: [] } });
    await shell.must('commit', 'drive/main', '-m', 'direct');
  });

  it('are refused when typed wrongly', async () => {
    await refuses(['branch', 'protect', 'drive/a.b'], 2, 'no name or pattern of a branch');
    await refuses(['tag', 'protect', 'drive', 'prod?'], 2, 'no name or pattern of a tag');
    await refuses(['branch', 'protect', 'nosuch/main'], 1, "no repository 'nosuch'");
    await refuses(['repo', 'require', 'drive/main'], 2, 'nothing is required');
    await refuses(['repo', 'require', 'drive/main', 'map', '--off'], 2, '--off takes no keys');
    await refuses(['repo', 'require', 'drive/main', ''], 2, 'a required key is empty');
    const file = await shell.file('schema.json', 'false');
    await refuses(['repo', 'require', 'drive/main', '--schema', file], 2, 'the schema is false');
    const both = ['repo', 'settings', 'drive', '--history', '--at', 'now'];
    await refuses(both, 2, 'exclude one another');
    await refuses(['repo', 'settings', 'drive', '--limit', '1'], 2, 'go with --history');
  });
});
