import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CherryPickOptions } from '../../src/history/cherry-pick.js';
import { cherryPick } from '../../src/history/cherry-pick.js';
import { merge } from '../../src/history/merge.js';
import type { Outcome } from '../../src/history/outcome.js';
import { parsePreference } from '../../src/history/prefer.js';
import type { RevertOptions } from '../../src/history/revert.js';
import { revert } from '../../src/history/revert.js';
import type { CommitId } from '../../src/model/ids.js';
import { keyToText } from '../../src/model/path.js';
import { AUTHOR, HistorySandbox } from './sandbox.js';

let sandbox: HistorySandbox;

beforeEach(async () => {
  sandbox = await HistorySandbox.make();
  await sandbox.commit('main', { 'labels/a': '1', 'labels/b': '1', 'raw/x': '1' });
  await sandbox.branch('labels-v2');
});
afterEach(() => sandbox.remove());

function revertOn(branch: string, commit: string, more: Partial<RevertOptions> = {}) {
  return revert(sandbox.repository, { branch, commit, author: AUTHOR, ...more });
}

function pickOnto(branch: string, commits: string[], more: Partial<CherryPickOptions> = {}) {
  return cherryPick(sandbox.repository, { branch, commits, author: 'ines', ...more });
}

async function commitOf(outcome: Outcome) {
  if (outcome.kind !== 'done') throw new Error(`it came to ${outcome.kind}`);
  return sandbox.repository.readCommit(outcome.commit as CommitId);
}

function conflictPaths(outcome: Outcome): string[] {
  if (outcome.kind !== 'conflicts') throw new Error(`it came to ${outcome.kind}`);
  return outcome.conflicts.map(({ key }) => keyToText(key));
}

describe('a revert', () => {
  it('undoes one commit and keeps what came after it', async () => {
    const change = { 'labels/a': '2', 'labels/b': null, 'labels/c': '2' };
    const bad = await sandbox.commit('main', change);
    const after = await sandbox.commit('main', { 'raw/x': '3' });
    const commit = await commitOf(await revertOn('main', bad, { metadata: { map: 'v2' } }));
    expect(commit).toMatchObject({ parents: [after], author: AUTHOR, metadata: { map: 'v2' } });
    expect(commit.message).toBe(
      `Revert "Change labels/a, labels/b, labels/c"\n\nThis reverts commit ${bad}.`,
    );
    const files = { 'labels/a': '1', 'labels/b': '1', 'raw/x': '3' };
    expect(await sandbox.files('main')).toEqual(files);
  });

  it('of a revert brings the change back', async () => {
    const bad = await sandbox.commit('main', { 'labels/a': '2' });
    await revertOn('main', bad);
    await revertOn('main', 'main');
    expect(await sandbox.files('main')).toMatchObject({ 'labels/a': '2' });
  });

  it('lists what was changed again since, and changes nothing; preferences decide', async () => {
    const bad = await sandbox.commit('main', { 'labels/a': '2', 'labels/b': '2' });
    const head = await sandbox.commit('main', { 'labels/a': '3' });
    expect(conflictPaths(await revertOn('main', bad))).toEqual(['labels/a']);
    expect(await sandbox.head('main')).toBe(head);
    await commitOf(await revertOn('main', bad, { preferences: [parsePreference('dst')] }));
    expect(await sandbox.files('main')).toMatchObject({ 'labels/a': '3', 'labels/b': '1' });
  });

  it('of a merge needs the parent to go back to', async () => {
    await sandbox.commit('labels-v2', { 'labels/a': '2' });
    const ours = await sandbox.commit('main', { 'raw/x': '2' });
    await merge(sandbox.repository, { branch: 'main', source: 'labels-v2', author: AUTHOR });
    await expect(revertOn('main', 'main')).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining(
        `is a merge of 2 parents: 1 is ${ours.slice(0, 12)}`,
      ) as string,
      hint: expect.stringContaining('--mainline N') as string,
    });
    await expect(revertOn('main', 'main', { mainline: 3 })).rejects.toMatchObject({
      message: expect.stringContaining('has 2 parents, there is no parent 3') as string,
    });
    await commitOf(await revertOn('main', 'main', { mainline: 1 }));
    expect(await sandbox.files('main')).toMatchObject({ 'labels/a': '1', 'raw/x': '2' });
  });

  it('of the first commit is refused, of what is undone already is nothing', async () => {
    await expect(revertOn('main', 'main~1')).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('is the first of its history') as string,
    });
    const bad = await sandbox.commit('main', { 'labels/a': '2' });
    await revertOn('main', bad);
    expect(await revertOn('main', bad)).toMatchObject({ kind: 'nothing' });
  });

  it('finds out what would happen on a dry run', async () => {
    const bad = await sandbox.commit('main', { 'labels/a': '2' });
    const outcome = await revertOn('main', bad, { isDryRun: true });
    expect(outcome).toMatchObject({ effect: { changes: { added: 0, changed: 1, removed: 0 } } });
    expect(await sandbox.head('main')).toBe(bad);
  });
});

describe('a cherry-pick', () => {
  it('repeats changes with their author, words and metadata, and says where they are from', async () => {
    const { repository } = sandbox;
    const { commit: base } = await repository.resolve('main');
    const picked = await repository.commits.save({
      tree: await sandbox.edit(base.tree, { 'labels/a': '2' }),
      parents: [await sandbox.head('main')],
      author: 'hanna',
      dateMs: 5,
      message: 'Label the glare\n',
      metadata: { calibration: 'v6', map: '9' },
    });
    const head = await sandbox.commit('labels-v2', { 'raw/x': '4' });
    const options = { metadata: { calibration: 'v7' } };
    const made = await commitOf(await pickOnto('labels-v2', [picked], options));
    expect(made).toMatchObject({
      parents: [head],
      author: 'hanna',
      message: `Label the glare\n\n(cherry picked from commit ${picked})`,
      metadata: { calibration: 'v7', map: '9' },
    });
    expect(made.dateMs).toBeGreaterThan(5);
    expect(await sandbox.files('labels-v2')).toMatchObject({ 'labels/a': '2', 'raw/x': '4' });
    for await (const { by, why } of repository.refs.history('branch', 'labels-v2')) {
      expect([by, why]).toEqual(['ines', `cherry-pick ${picked.slice(0, 12)}`]);
      break;
    }
  });

  it('makes a commit for each that changes something, in their order', async () => {
    const first = await sandbox.commit('main', { 'labels/a': '2' });
    const second = await sandbox.commit('main', { 'labels/a': '3', 'raw/x': '3' });
    const head = await sandbox.head('labels-v2');
    const outcome = await pickOnto('labels-v2', [first, first, second]);
    expect(outcome).toMatchObject({ made: 2, skipped: 1, onto: head });
    const top = await commitOf(outcome);
    const below = await sandbox.repository.readCommit(top.parents[0] as CommitId);
    expect(below.parents).toEqual([head]);
    expect(below.message).toContain(first);
    expect(await sandbox.files('labels-v2')).toEqual(await sandbox.files('main'));
    expect(await pickOnto('labels-v2', [first])).toMatchObject({ kind: 'conflicts' });
    expect(await pickOnto('labels-v2', [second])).toMatchObject({ kind: 'nothing' });
  });

  it('makes none when one conflicts, and names that commit', async () => {
    const fine = await sandbox.commit('main', { 'labels/b': '2' });
    const clash = await sandbox.commit('main', { 'labels/a': '2' });
    const head = await sandbox.commit('labels-v2', { 'labels/a': '3' });
    const outcome = await pickOnto('labels-v2', [fine, clash]);
    expect(outcome).toMatchObject({ source: clash });
    expect(conflictPaths(outcome)).toEqual(['labels/a']);
    expect(await sandbox.head('labels-v2')).toBe(head);
    const preferences = [parsePreference('src')];
    await commitOf(await pickOnto('labels-v2', [fine, clash], { preferences }));
    expect(await sandbox.files('labels-v2')).toMatchObject({ 'labels/a': '2', 'labels/b': '2' });
  });

  it('of a merge needs --mainline, the first commit is refused', async () => {
    await sandbox.commit('labels-v2', { 'labels/a': '2' });
    await sandbox.branch('audit');
    await merge(sandbox.repository, { branch: 'main', source: 'labels-v2', author: AUTHOR });
    await expect(pickOnto('audit', ['main'])).rejects.toMatchObject({ kind: 'invalid' });
    await commitOf(await pickOnto('audit', ['main'], { mainline: 1 }));
    expect(await sandbox.files('audit')).toMatchObject({ 'labels/a': '2' });
    await expect(pickOnto('audit', ['main~2'])).rejects.toMatchObject({
      message: expect.stringContaining('is the first of its history') as string,
    });
  });
});
