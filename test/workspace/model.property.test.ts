import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Entry } from '../../src/model/entry.js';
import { entrySize } from '../../src/model/entry.js';
import { TarnError } from '../../src/util/errors.js';
import type { Workspace } from '../../src/workspace/workspace.js';
import { all, fileEntry, key, Sandbox, scan } from './sandbox.js';

const NAMES = ['a', 'a.b', 'a/', 'a/b', 'a/b/c', 'a/b/d', 'a0', 'b/', 'b/c/d', 'é/x', 'z'];
const PREFIXES = ['', 'a/', 'a/b/', 'b/', 'é/'];
const PATHS = ['a', 'a/b', 'a/b/', 'b', 'z', 'a.b'];

type Step =
  | { readonly kind: 'put'; readonly names: readonly string[]; readonly seed: number }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'remove-prefix'; readonly prefix: string }
  | { readonly kind: 'commit'; readonly paths: readonly string[] | undefined }
  | { readonly kind: 'discard' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('put' as const),
        names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 }),
        seed: fc.nat({ max: 2 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('remove' as const),
        name: fc.constantFrom(...NAMES),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('remove-prefix' as const),
        prefix: fc.constantFrom(...PREFIXES),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('commit' as const),
        paths: fc.option(fc.uniqueArray(fc.constantFrom(...PATHS), { minLength: 1 }), {
          nil: undefined,
        }),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'discard' as const }) },
  ),
  { maxLength: 12 },
);

/** What the branch's head has and what is to be seen with what is staged. */
interface Model {
  head: Map<string, Entry>;
  seen: Map<string, Entry>;
}

const entryOf = (name: string, seed: number): Entry =>
  fileEntry(`${name} ${seed}`, name.endsWith('/') ? 0 : 10 + seed);

const inPaths = (name: string, paths: readonly string[] | undefined): boolean =>
  paths === undefined ||
  paths.some((path) => name === path || name.startsWith(path.endsWith('/') ? path : `${path}/`));

async function kindOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof TarnError) return error.kind;
    throw error;
  }
}

async function apply(workspace: Workspace, model: Model, step: Step): Promise<void> {
  switch (step.kind) {
    case 'put': {
      const entries = step.names.map((name) => [key(name), entryOf(name, step.seed)] as const);
      await workspace.stage(entries.map(([each, entry]) => ({ key: each, entry })));
      for (const [name, entry] of entries) model.seen.set(name, entry);
      return;
    }
    case 'remove': {
      const there = model.seen.delete(key(step.name));
      expect(await kindOf(workspace.remove(key(step.name)))).toBe(there ? 'done' : 'not-found');
      return;
    }
    case 'remove-prefix': {
      const below = [...model.seen.keys()].filter((name) => name.startsWith(key(step.prefix)));
      for (const name of below) model.seen.delete(name);
      const outcome = await kindOf(workspace.removePrefix(key(step.prefix)));
      expect(outcome).toBe(below.length > 0 ? 'done' : 'not-found');
      return;
    }
    case 'commit':
      return applyCommit(workspace, model, step.paths);
    case 'discard':
      workspace.discard();
      model.seen = new Map(model.head);
      return;
  }
}

async function applyCommit(
  workspace: Workspace,
  model: Model,
  paths: readonly string[] | undefined,
): Promise<void> {
  const names = [...new Set([...model.head.keys(), ...model.seen.keys()])];
  const selected = paths?.map(key);
  const changed = names.filter(
    (name) =>
      inPaths(name, selected) &&
      JSON.stringify(model.head.get(name)) !== JSON.stringify(model.seen.get(name)),
  );
  const options = selected === undefined ? {} : { paths: selected };
  const outcome = await kindOf(workspace.commit({ message: 'm', author: 'rosa', ...options }));
  // A directory that was removed as a whole is committed as a whole.
  if (outcome === 'invalid' && paths !== undefined) return;
  expect(outcome).toBe(changed.length === 0 ? 'nothing-to-commit' : 'done');
  for (const name of changed) {
    const entry = model.seen.get(name);
    if (entry === undefined) model.head.delete(name);
    else model.head.set(name, entry);
  }
}

function sorted(map: ReadonlyMap<string, Entry>): [string, Entry][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function totalsOf(map: ReadonlyMap<string, Entry>, prefix: string) {
  const entries = [...map].filter(([name]) => name.startsWith(prefix));
  const bytes = entries.reduce((sum, [, entry]) => sum + entrySize(entry), 0);
  return { entries: entries.length, bytes };
}

async function check(sandbox: Sandbox, workspace: Workspace, model: Model): Promise<void> {
  const view = await workspace.view();
  expect(await scan(view)).toEqual(sorted(model.seen));
  for (const name of NAMES.map(key)) {
    expect(await view.get(name)).toEqual(model.seen.get(name));
    const rest = sorted(model.seen).filter(([each]) => each >= name);
    expect(await scan(view, Buffer.from(name, 'latin1').toString())).toEqual(rest);
  }
  for (const prefix of [...PREFIXES, 'a', 'a/b', 'q'].map(key)) {
    expect(await view.totals(prefix)).toEqual(totalsOf(model.seen, prefix));
  }
  await checkChanges(workspace, model);
  const repository = await sandbox.repository();
  const { commitId } = await repository.resolve('main@');
  expect(await scan(await repository.commitView('main@', commitId))).toEqual(sorted(model.head));
}

async function checkChanges(workspace: Workspace, model: Model): Promise<void> {
  const changes = await all(workspace.changes());
  let [added, changed, removed] = [0, 0, 0];
  for (const name of new Set([...model.head.keys(), ...model.seen.keys()])) {
    const [before, after] = [model.head.get(name), model.seen.get(name)];
    if (after === undefined) removed += 1;
    else if (before === undefined) added += 1;
    else if (JSON.stringify(before) !== JSON.stringify(after)) changed += 1;
  }
  const count = (kind: string) =>
    changes.filter((each) => each.change === kind).reduce((sum, each) => sum + each.entries, 0);
  expect([count('added'), count('changed'), count('removed')]).toEqual([added, changed, removed]);
  const paths = changes.map((each) => each.path);
  expect(paths).toEqual([...paths].sort());
}

it('a workspace shows, lists and commits what a plain map would hold', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (drawn) => {
      const sandbox = await Sandbox.make();
      try {
        const workspace = await sandbox.workspace();
        const model: Model = { head: new Map(), seen: new Map() };
        for (const step of drawn) {
          await apply(workspace, model, step);
          await check(sandbox, workspace, model);
        }
        await check(sandbox, await sandbox.workspace(), model);
      } finally {
        await sandbox.remove();
      }
    }),
    { seed: 8421, numRuns: 40 },
  );
}, 120_000);
