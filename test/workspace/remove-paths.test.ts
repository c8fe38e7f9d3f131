import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removePaths } from '../../src/workspace/remove-paths.js';
import type { Workspace } from '../../src/workspace/workspace.js';
import { all, fileEntry, key, Sandbox, scan } from './sandbox.js';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.make();
});
afterEach(() => sandbox.remove());

const COMMITTED = ['a', 'b', 'd/1', 'd/2', 'd/e/1', 'f/1', 'f/2', 'f/3', 'g', 'h'];
const anyPath = fc.constantFrom(...COMMITTED, 'd', 'd/e', 'd/', 'f', 'i', 'i/1', 'none');

async function stage(workspace: Workspace, paths: readonly string[], seed = 's'): Promise<void> {
  await workspace.stage(paths.map((path) => ({ key: key(path), entry: fileEntry(seed + path) })));
}

const commit = (workspace: Workspace) => workspace.commit({ message: 'm', author: 'rosa' });

const pathsOf = async (workspace: Workspace): Promise<string[]> =>
  (await scan(await workspace.view())).map(([path]) => path);

/** One path after the other, until one is not there; how many went, and what is left. */
function modelled(there: ReadonlySet<string>, paths: readonly string[]) {
  const left = new Set(there);
  for (const [at, path] of paths.entries()) {
    const prefix = path.endsWith('/') ? path : `${path}/`;
    const gone = left.has(path) ? [path] : [...left].filter((each) => each.startsWith(prefix));
    if (gone.length === 0) return { left, failedAt: at };
    for (const each of gone) left.delete(each);
  }
  return { left, failedAt: undefined };
}

describe('the removal of many paths', () => {
  it('leaves what removing them one after the other leaves', async () => {
    const workspace = await sandbox.workspace('main', sandbox.home, { foldRows: 2 });
    await stage(workspace, COMMITTED);
    await commit(workspace);
    const drawn = fc.record({
      staged: fc.subarray(['i/1', 'i/2', 'a', 'd/3']),
      removed: fc.subarray(['b', 'f/2']),
      paths: fc.array(anyPath, { minLength: 1, maxLength: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ staged, removed, paths }) => {
        workspace.discard();
        if (staged.length > 0) await stage(workspace, staged, 'other');
        if (removed.length > 0) await workspace.remove(removed.map(key));
        const there = new Set(await pathsOf(workspace));
        const { left, failedAt } = modelled(there, paths);
        const removing = removePaths(workspace, paths.map(key), { recursive: true });
        if (failedAt === undefined) expect(await removing).toBe(there.size - left.size);
        else await expect(removing).rejects.toMatchObject({ kind: 'not-found' });
        expect(await pathsOf(workspace)).toEqual([...left].sort());
      }),
      { seed: 8421, numRuns: 100 },
    );
  });

  it('stays staged where something else conflicts with the branch', async () => {
    const mine = await sandbox.workspace('main', sandbox.home, { foldRows: 2 });
    await stage(mine, COMMITTED);
    await commit(mine);
    await stage(mine, ['a'], 'mine');
    const others = await sandbox.workspace('main', sandbox.anotherHome());
    await stage(others, ['a'], 'theirs');
    await commit(others);
    const gone = ['f/1', 'f/2', 'f/3', 'g', 'h'];
    expect(await removePaths(mine, gone.map(key), { recursive: false })).toBe(gone.length);
    expect(await pathsOf(mine)).toEqual(COMMITTED.filter((path) => !gone.includes(path)));
    await expect(commit(mine)).rejects.toMatchObject({ kind: 'conflict' });
    await mine.resolve(key('a'), 'ours');
    await commit(mine);
    expect(await all(mine.changes())).toEqual([]);
    expect(await pathsOf(mine)).toEqual(COMMITTED.filter((path) => !gone.includes(path)));
  });

  it('makes no row for each of many', async () => {
    const workspace = await sandbox.workspace('main', sandbox.home, { foldRows: 100 });
    const wide = Array.from({ length: 3_000 }, (_, i) => `wide/${String(i).padStart(4, '0')}`);
    await stage(workspace, wide);
    await commit(workspace);
    const { version } = workspace;
    await removePaths(workspace, wide.slice(1).map(key), { recursive: false });
    expect(workspace.version).toBe(version + 1);
    expect(await pathsOf(workspace)).toEqual(wide.slice(0, 1));
  });
});
