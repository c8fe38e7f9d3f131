import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { spanOfPrefix } from '../../src/model/span.js';
import type { Edit } from '../../src/tree/edit.js';
import type { Workspace } from '../../src/workspace/workspace.js';
import { all, fileEntry, key, Sandbox, scan } from './sandbox.js';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.make();
});
afterEach(() => sandbox.remove());

const put = (path: string, seed: string): Edit => ({
  kind: 'put',
  key: key(path),
  entry: fileEntry(seed),
});

/** So many puts that they do not become rows. */
const many = (seed: string): Edit[] =>
  Array.from({ length: 600 }, (_, i) => put(`many/${String(i).padStart(3, '0')}`, seed));

async function commitAll(workspace: Workspace, files: Record<string, string>): Promise<void> {
  const entries = Object.entries(files).map(([path, seed]) => ({
    key: key(path),
    entry: fileEntry(seed),
  }));
  await workspace.stage(entries);
  await workspace.commit({ message: 'm', author: 'rosa' });
}

const commit = (workspace: Workspace) => workspace.commit({ message: 'm', author: 'rosa' });

async function changes(workspace: Workspace): Promise<string[]> {
  return (await all(workspace.changes())).map(({ path, change }) => `${change} ${path}`);
}

async function conflicts(workspace: Workspace): Promise<string[]> {
  return (await workspace.conflicts()).map(({ key: path }) => path);
}

async function pair() {
  const workspace = await sandbox.workspace();
  const others = await sandbox.workspace('main', sandbox.anotherHome());
  return { workspace, others };
}

describe('edits of what a branch showed', () => {
  it('are staged, single or many, and the base has them', async () => {
    const workspace = await sandbox.workspace();
    await commitAll(workspace, { a: '1', 'd/x': '1', 'd/y': '1' });
    const base = await workspace.base();
    await workspace.stageEdits([{ kind: 'remove', key: key('a') }, put('b', '1')], base.head);
    expect(await changes(workspace)).toEqual(['removed a', 'added b']);
    const moved: Edit[] = [
      { kind: 'replace', span: spanOfPrefix(key('d/')) },
      {
        kind: 'replace',
        span: spanOfPrefix(key('e/')),
        with: { tree: base.tree, source: key('d/'), target: key('e/') },
      },
      put('e/y', '2'),
    ];
    await workspace.stageEdits(moved, base.head);
    const now = await workspace.base();
    const repository = await sandbox.repository();
    const { source } = await workspace.view();
    const seen = await scan(await repository.treeView(source, now.tree));
    expect(seen.map(([path]) => path)).toEqual(['b', 'e/x', 'e/y']);
    expect(now.head).toBe(base.head);
    await commit(workspace);
    expect(await changes(workspace)).toEqual([]);
  });

  it('that change nothing stage nothing', async () => {
    const workspace = await sandbox.workspace();
    await commitAll(workspace, { a: '1' });
    const { head, version } = await workspace.base();
    await workspace.stageEdits([put('a', '1'), { kind: 'remove', key: key('b') }], head);
    expect(await changes(workspace)).toEqual([]);
    expect((await workspace.base()).version).toBeLessThanOrEqual(version + 1);
    await expect(commit(workspace)).rejects.toMatchObject({ kind: 'nothing-to-commit' });
  });

  it.each([
    ['single', [put('a', 'mine')]],
    ['many', [put('a', 'mine'), ...many('1')]],
  ])('conflict with what others made of the branch since: %s', async (_, edits) => {
    const { workspace, others } = await pair();
    await commitAll(workspace, { a: '1', b: '1' });
    const { head } = await workspace.base();
    await commitAll(others, { a: 'theirs', b: 'theirs' });
    await workspace.stageEdits(edits, head);
    await expect(commit(workspace)).rejects.toMatchObject({ kind: 'conflict' });
    // Written again by a program that has not seen theirs: no decision.
    const now = await workspace.base();
    await workspace.stageEdits([put('a', 'mine again')], now.head);
    expect(await workspace.conflicts()).toEqual([
      {
        key: key('a'),
        base: fileEntry('1'),
        ours: fileEntry('mine again'),
        theirs: fileEntry('theirs'),
      },
    ]);
    await expect(commit(workspace)).rejects.toMatchObject({ kind: 'conflict' });
    await workspace.resolve(key('a'), 'ours');
    expect(await conflicts(workspace)).toEqual([]);
    await commit(workspace);
    expect((await scan(await workspace.view())).slice(0, 2)).toEqual([
      ['a', fileEntry('mine again')],
      ['b', fileEntry('theirs')],
    ]);
  });

  it('whose files the branch has removed conflict until one side is taken', async () => {
    const { workspace, others } = await pair();
    await commitAll(workspace, { a: '1', b: '1', c: '1' });
    const { head } = await workspace.base();
    await others.remove([key('a'), key('b')]);
    await commit(others);
    await workspace.stageEdits([put('a', 'mine'), put('b', 'mine'), ...many('1')], head);
    expect(await conflicts(workspace)).toEqual(['a', 'b']);
    await workspace.resolve(key('a'), 'theirs');
    await workspace.resolve(key('b'), 'ours');
    await expect(workspace.resolve(key('c'), 'ours')).rejects.toMatchObject({ kind: 'not-found' });
    await commit(workspace);
    const paths = (await scan(await workspace.view())).map(([path]) => path);
    expect(paths.filter((path) => !path.startsWith('many/'))).toEqual(['b', 'c']);
  });

  it('are there also when single paths conflict with what others staged a tree on', async () => {
    const { workspace, others } = await pair();
    await commitAll(workspace, { a: '1', b: '1' });
    const first = await workspace.base();
    await workspace.stageEdits([put('a', 'mine'), ...many('1')], first.head);
    await commitAll(others, { a: 'theirs' });
    const second = await workspace.base();
    await workspace.stageEdits(many('2'), second.head);
    expect(await conflicts(workspace)).toEqual(['a']);
    await workspace.resolve(key('a'), 'theirs');
    await commit(workspace);
    const seen = await scan(await workspace.view());
    expect(seen[0]).toEqual(['a', fileEntry('theirs')]);
    expect(seen[2]).toEqual(['many/000', fileEntry('2')]);
  });

  it('decided for what was put again, also when that is what is staged', async () => {
    const { workspace, others } = await pair();
    await commitAll(workspace, { a: '1' });
    const { head } = await workspace.base();
    await workspace.stageEdits([put('a', 'mine'), ...many('1')], head);
    await commitAll(others, { a: 'theirs' });
    await workspace.stage([{ key: key('a'), entry: fileEntry('mine') }]);
    expect(await conflicts(workspace)).toEqual([]);
    await commit(workspace);
    expect((await scan(await workspace.view()))[0]).toEqual(['a', fileEntry('mine')]);
  });
});
