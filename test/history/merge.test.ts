import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MergeOptions } from '../../src/history/merge.js';
import { merge } from '../../src/history/merge.js';
import { mergeBases } from '../../src/history/merge-base.js';
import type { Done, Outcome } from '../../src/history/outcome.js';
import { parsePreference } from '../../src/history/prefer.js';
import type { CommitId } from '../../src/model/ids.js';
import { keyToText } from '../../src/model/path.js';
import { AUTHOR, HistorySandbox, seedOf } from './sandbox.js';

const GLARE = 'incident-2025-06-14-8421-glare';

let sandbox: HistorySandbox;

beforeEach(async () => {
  sandbox = await HistorySandbox.make();
  await sandbox.commit('main', { 'labels/a': '1', 'labels/b': '1', 'raw/x': '1', 'raw/y': '1' });
  await sandbox.branch(GLARE);
});
afterEach(() => sandbox.remove());

function mergeInto(branch: string, source: string, more: Partial<MergeOptions> = {}) {
  return merge(sandbox.repository, { branch, source, author: AUTHOR, ...more });
}

function done(outcome: Outcome): Done {
  if (outcome.kind !== 'done') throw new Error(`it came to ${outcome.kind}`);
  return outcome;
}

/** Path, base, ours, theirs of each conflict. */
function conflictsOf(outcome: Outcome): (string | undefined)[][] {
  if (outcome.kind !== 'conflicts') throw new Error(`it came to ${outcome.kind}`);
  expect(outcome.count).toBe(outcome.conflicts.length);
  return outcome.conflicts.map(({ key, base, ours, theirs }) => [
    keyToText(key),
    ...[base, ours, theirs].map((entry) => (entry === undefined ? undefined : seedOf(entry))),
  ]);
}

describe('a merge', () => {
  it('takes what each side changed, and keeps who, why and in what context', async () => {
    const theirs = await sandbox.commit(GLARE, { 'labels/a': '2', 'raw/x': null, 'raw/z': '2' });
    const ours = await sandbox.commit('main', { 'labels/b': '3' });
    const metadata = { calibration: 'v7', firmware: '4.2' };
    const made = done(await mergeInto('main', GLARE, { message: 'Fix the glare', metadata }));
    expect(await sandbox.files('main')).toEqual({
      'labels/a': '2',
      'labels/b': '3',
      'raw/y': '1',
      'raw/z': '2',
    });
    const commit = await sandbox.repository.readCommit(made.commit as CommitId);
    expect(commit).toMatchObject({
      parents: [ours, theirs],
      author: AUTHOR,
      message: 'Fix the glare',
      metadata,
    });
    expect(made).toMatchObject({ onto: ours, isFastForward: false, made: 1, settled: 0 });
    expect(made.effect).toEqual({
      before: { entries: 4, bytes: 40 },
      after: { entries: 4, bytes: 40 },
      changes: { added: 1, changed: 1, removed: 1 },
    });
    expect(await sandbox.head(GLARE)).toBe(theirs);
  });

  it('makes a commit also where the branch could just move; --ff lets it move', async () => {
    const ours = await sandbox.head('main');
    const theirs = await sandbox.commit(GLARE, { 'raw/x': '2' });
    await sandbox.branch('staging');
    const made = done(await mergeInto('main', GLARE));
    expect((await sandbox.repository.readCommit(made.commit as CommitId)).parents).toEqual([
      ours,
      theirs,
    ]);
    const moved = done(await mergeInto('staging', GLARE, { mayFastForward: true }));
    expect(moved).toMatchObject({ commit: theirs, isFastForward: true, made: 0 });
    expect(await sandbox.head('staging')).toBe(theirs);
    await sandbox.commit(GLARE, { 'raw/x': '3' });
    const both = done(await mergeInto('main', GLARE, { mayFastForward: true }));
    expect(both.isFastForward).toBe(false);
  });

  it('says when there is nothing to merge', async () => {
    const head = await sandbox.head('main');
    expect(await mergeInto('main', GLARE)).toEqual({ kind: 'nothing', head });
    await sandbox.commit(GLARE, { 'raw/x': '2' });
    done(await mergeInto('main', GLARE));
    expect(await mergeInto('main', GLARE)).toMatchObject({ kind: 'nothing' });
    expect(await mergeInto('main', 'main~1')).toMatchObject({ kind: 'nothing' });
  });

  it('squashes: one parent, and the same changes again are nothing', async () => {
    await sandbox.commit(GLARE, { 'raw/x': '2' });
    await sandbox.commit(GLARE, { 'raw/y': '2' });
    const ours = await sandbox.commit('main', { 'labels/a': '2' });
    const made = done(await mergeInto('main', GLARE, { isSquash: true }));
    const commit = await sandbox.repository.readCommit(made.commit as CommitId);
    expect(commit).toMatchObject({
      parents: [ours],
      message: `Squash ${GLARE} into main`,
    });
    expect(await sandbox.files('main')).toMatchObject({ 'raw/x': '2', 'raw/y': '2' });
    expect(await mergeInto('main', GLARE, { isSquash: true })).toMatchObject({ kind: 'nothing' });
  });

  it('finds out what would happen and changes nothing on a dry run', async () => {
    await sandbox.commit(GLARE, { 'raw/x': '2' });
    const ours = await sandbox.commit('main', { 'raw/y': '2' });
    const found = done(await mergeInto('main', GLARE, { isDryRun: true }));
    expect(found.commit).toBeUndefined();
    expect(found.effect.changes).toEqual({ added: 0, changed: 1, removed: 0 });
    expect(await sandbox.head('main')).toBe(ours);
  });

  it('refuses a branch into itself, what is not there, and histories that share nothing', async () => {
    const refused = (source: string, branch = 'main') => expect(mergeInto(branch, source)).rejects;
    await refused('main').toMatchObject({
      kind: 'invalid',
      message: "branch 'main' cannot be merged into itself",
    });
    await refused('nosuch').toMatchObject({ kind: 'not-found' });
    await refused(GLARE, 'nosuch').toMatchObject({ kind: 'not-found' });
    const { repository } = sandbox;
    const { commit } = await repository.resolve('main');
    const root = await repository.commits.save({ ...commit, parents: [], message: 'alone' });
    await repository.createRef('branch', 'alone', root, AUTHOR);
    await refused('alone').toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining('no commit in common') as string,
    });
  });
});

describe('conflicts of a merge', () => {
  beforeEach(async () => {
    await sandbox.commit(GLARE, { 'labels/a': '2', 'raw/x': null, 'raw/y': '2', 'raw/new': '2' });
    await sandbox.commit('main', { 'labels/a': '3', 'raw/x': '3', 'raw/y': '2', 'raw/new': '3' });
  });

  it('are values with all three versions, and change nothing', async () => {
    const head = await sandbox.head('main');
    const source = await sandbox.head(GLARE);
    const outcome = await mergeInto('main', GLARE);
    expect(outcome).toMatchObject({ kind: 'conflicts', onto: head, source });
    expect(conflictsOf(outcome)).toEqual([
      ['labels/a', '1', '3', '2'],
      ['raw/new', undefined, '3', '2'],
      ['raw/x', '1', '3', undefined],
    ]);
    expect(await sandbox.head('main')).toBe(head);
  });

  it('are decided by preferences, where several match by the last', async () => {
    const preferences = ['dst', 'src:labels/**', 'src:raw/*', 'dst:raw/new'].map(parsePreference);
    const made = done(await mergeInto('main', GLARE, { preferences }));
    expect(made.settled).toBe(3);
    expect(await sandbox.files('main')).toEqual({
      'labels/a': '2',
      'labels/b': '1',
      'raw/y': '2',
      'raw/new': '3',
    });
  });

  it('remain where no preference matches', async () => {
    const preferences = [parsePreference('src:labels/**')];
    const outcome = await mergeInto('main', GLARE, { preferences });
    expect(conflictsOf(outcome).map(([path]) => path)).toEqual(['raw/new', 'raw/x']);
  });

  it.each(['', 'ours', 'src/labels', 'dst:', 'src:a[b'])("'%s' is no preference", (text) => {
    expect(() => parsePreference(text)).toThrow(expect.objectContaining({ kind: 'invalid' }));
  });
});

describe('histories that cross', () => {
  /** Both sides merged the other's first commit; `ours` and `theirs` are what they made of it. */
  async function cross(files: {
    readonly first: readonly [Record<string, string>, Record<string, string>];
    readonly merged: readonly [Record<string, string | null>, Record<string, string | null>];
  }): Promise<void> {
    const a = await sandbox.commit('main', files.first[0]);
    const b = await sandbox.commit(GLARE, files.first[1]);
    await sandbox.commit('main', files.merged[0], [b]);
    await sandbox.commit(GLARE, files.merged[1], [a]);
    const read = sandbox.repository.readCommit.bind(sandbox.repository);
    const heads = [await sandbox.head('main'), await sandbox.head(GLARE)] as const;
    expect((await mergeBases(read, ...heads)).sort()).toEqual([a, b].sort());
  }

  it('merge what each side did since, without false conflicts', async () => {
    await cross({
      first: [{ 'raw/x': '2' }, { 'raw/y': '2' }],
      merged: [{ 'raw/y': '2' }, { 'raw/x': '2' }],
    });
    await sandbox.commit(GLARE, { 'raw/x': '4' });
    await sandbox.commit('main', { 'raw/y': '5' });
    done(await mergeInto('main', GLARE));
    expect(await sandbox.files('main')).toMatchObject({ 'raw/x': '4', 'raw/y': '5' });
  });

  it('keep a change that one side took back, whichever of the bases has it', async () => {
    await cross({
      first: [{ 'raw/x': '2' }, { 'raw/y': '2' }],
      merged: [{ 'raw/y': '2' }, { 'raw/x': '2' }],
    });
    await sandbox.commit(GLARE, { 'raw/x': '1' });
    await sandbox.commit('main', { 'raw/y': '1' });
    done(await mergeInto('main', GLARE));
    expect(await sandbox.files('main')).toMatchObject({ 'raw/x': '1', 'raw/y': '1' });
  });

  it.each([
    ['each its own', '2', '3'],
    ['one of them the version before', '1', '3'],
    ['one of them none', null, '2'],
    ['one of them a third', '2', '4'],
  ])('conflict where they settled a conflict differently: %s', async (_, ours, theirs) => {
    await cross({
      first: [{ 'raw/x': '2' }, { 'raw/x': '3' }],
      merged: [{ 'raw/x': ours }, { 'raw/x': theirs }],
    });
    const outcome = await mergeInto('main', GLARE);
    expect(conflictsOf(outcome)).toEqual([['raw/x', undefined, ours ?? undefined, theirs]]);
    expect(outcome).toMatchObject({ conflicts: [{ isBaseUnclear: true }] });
  });

  it('do not conflict where they settled a conflict alike', async () => {
    await cross({
      first: [{ 'raw/x': '2' }, { 'raw/x': '3' }],
      merged: [{ 'raw/x': '4' }, { 'raw/x': '4' }],
    });
    await sandbox.commit(GLARE, { 'raw/y': '9' });
    done(await mergeInto('main', GLARE));
    expect(await sandbox.files('main')).toMatchObject({ 'raw/x': '4', 'raw/y': '9' });
  });

  it('may cross again and again', async () => {
    const rounds = 12;
    for (let round = 0; round < rounds; round += 1) {
      const a = await sandbox.commit('main', { 'raw/x': `a${round}` });
      const b = await sandbox.commit(GLARE, { 'raw/x': `b${round}`, 'raw/y': `b${round}` });
      const both = { 'raw/x': `c${round}`, 'raw/y': `b${round}` };
      const before = `${round - 1}`;
      const [ours, theirs] = round === 0 ? [{}, {}] : [{ 'only/b': before }, { 'only/a': before }];
      await sandbox.commit('main', { ...both, ...ours, 'only/a': `${round}` }, [b]);
      await sandbox.commit(GLARE, { ...both, ...theirs, 'only/b': `${round}` }, [a]);
    }
    done(await mergeInto('main', GLARE));
    const last = rounds - 1;
    expect(await sandbox.files('main')).toMatchObject({
      'only/a': `${last}`,
      'only/b': `${last}`,
      'raw/x': `c${last}`,
      'raw/y': `b${last}`,
    });
  });
});

describe('merges that race', () => {
  it('both land, the later one on top of the other', async () => {
    await sandbox.branch('labels-v2');
    await sandbox.commit(GLARE, { 'raw/x': '2' });
    await sandbox.commit('labels-v2', { 'labels/a': '2' });
    const start = await sandbox.head('main');
    const outcomes = await Promise.all([mergeInto('main', GLARE), mergeInto('main', 'labels-v2')]);
    const [first, second] = outcomes.map(done).sort((a) => (a.onto === start ? -1 : 1));
    expect(first?.onto).toBe(start);
    expect(second?.onto).toBe(first?.commit);
    expect(await sandbox.head('main')).toBe(second?.commit);
    expect(await sandbox.files('main')).toMatchObject({ 'raw/x': '2', 'labels/a': '2' });
  });

  it('end with words when the branch is deleted meanwhile', async () => {
    await sandbox.commit(GLARE, { 'raw/x': '2' });
    await sandbox.branch('short');
    const work = mergeInto('short', GLARE);
    await sandbox.repository.deleteRef('branch', 'short', AUTHOR);
    await expect(work).rejects.toMatchObject({
      kind: 'not-found',
      message: "there is no branch 'short'",
    });
  });

  it('go on when the source is deleted meanwhile: its commit is known', async () => {
    await sandbox.commit(GLARE, { 'raw/x': '2' });
    const { repository } = sandbox;
    const publish = repository.publish.bind(repository);
    repository.publish = async (publication, signal) => {
      await repository.deleteRef('branch', GLARE, AUTHOR);
      return publish(publication, signal);
    };
    done(await mergeInto('main', GLARE));
    expect(await sandbox.files('main')).toMatchObject({ 'raw/x': '2' });
  });
});
