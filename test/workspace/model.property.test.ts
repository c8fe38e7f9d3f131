import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Entry } from '../../src/model/entry.js';
import { entrySize } from '../../src/model/entry.js';
import { buildTree } from '../../src/tree/write.js';
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
  | { readonly kind: 'discard' }
  | { readonly kind: 'reset'; readonly paths: readonly string[] }
  | {
      readonly kind: 'move' | 'copy';
      readonly from: string;
      readonly to: string;
      readonly force: boolean;
    }
  | {
      readonly kind: 'graft';
      readonly prefix: string;
      readonly names: readonly string[];
      readonly mode: 'add' | 'replace';
    }
  /** Another home commits to the branch, at names that only it uses or at those of all. */
  | { readonly kind: 'others'; readonly names: readonly string[]; readonly seed: number };

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
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('reset' as const),
        paths: fc.uniqueArray(fc.constantFrom(...PATHS), { minLength: 1 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('move' as const, 'copy' as const),
        from: fc.constantFrom(...PATHS),
        to: fc.constantFrom(...PATHS, 'new', 'new/', 'b/'),
        force: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('graft' as const),
        prefix: fc.constantFrom(...PREFIXES),
        names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 }),
        mode: fc.constantFrom('add' as const, 'replace' as const),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('others' as const),
        names: fc.uniqueArray(fc.constantFrom('theirs', 'a/theirs', 'a/b', 'z'), {
          minLength: 1,
        }),
        seed: fc.nat({ max: 5 }),
      }),
    },
  ),
  { maxLength: 14 },
);

/** What the branch's head has and what is to be seen with what is staged. */
interface Model {
  head: Map<string, Entry>;
  seen: Map<string, Entry>;
  /** Names that others committed while something else was staged there: a commit may conflict. */
  readonly contested: Set<string>;
  /** Names that were staged by themselves, and count as staged also when they are as before. */
  readonly touched: Set<string>;
}

interface Actors {
  readonly sandbox: Sandbox;
  readonly workspace: Workspace;
  readonly others: Workspace;
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

async function apply(actors: Actors, model: Model, step: Step): Promise<void> {
  const { workspace } = actors;
  switch (step.kind) {
    case 'put': {
      const entries = step.names.map((name) => [key(name), entryOf(name, step.seed)] as const);
      await workspace.stage(entries.map(([each, entry]) => ({ key: each, entry })));
      for (const [name, entry] of entries) {
        model.seen.set(name, entry);
        model.touched.add(name);
      }
      return;
    }
    case 'remove': {
      const there = model.seen.delete(key(step.name));
      model.touched.add(key(step.name));
      const outcome = await kindOf(workspace.remove([key(step.name)]));
      // What is removed already can be removed again, where others changed it meanwhile.
      const isAgain = !there && model.head.has(key(step.name)) && outcome === 'done';
      if (!isAgain) expect(outcome).toBe(there ? 'done' : 'not-found');
      return;
    }
    case 'remove-prefix': {
      const prefix = key(step.prefix);
      const below = namesBelow(model.seen, prefix);
      const outcome = await kindOf(workspace.removePrefix(prefix));
      if (outcome === 'conflict') return expectContest(model);
      for (const name of below) model.seen.delete(name);
      const isAgain = namesBelow(model.head, prefix).length > 0 && outcome === 'done';
      if (!isAgain) expect(outcome).toBe(below.length > 0 ? 'done' : 'not-found');
      return;
    }
    case 'commit':
      return applyCommit(workspace, model, step.paths);
    case 'discard':
      workspace.discard();
      model.seen = new Map(model.head);
      model.contested.clear();
      return;
    case 'reset':
      return applyReset(workspace, model, step.paths);
    case 'move':
    case 'copy':
      return applyTransfer(workspace, model, step);
    case 'graft':
      return applyGraft(actors, model, step);
    case 'others':
      return applyOthers(actors, model, step);
  }
}

function namesBelow(map: ReadonlyMap<string, Entry>, prefix: string): string[] {
  return [...map.keys()].filter((name) => name.startsWith(prefix));
}

function expectContest(model: Model): void {
  expect(model.contested.size).toBeGreaterThan(0);
}

async function applyReset(
  workspace: Workspace,
  model: Model,
  paths: readonly string[],
): Promise<void> {
  await workspace.reset(paths.map(key));
  for (const name of new Set([...model.seen.keys(), ...model.head.keys()])) {
    if (!inPaths(name, paths.map(key))) continue;
    const entry = model.head.get(name);
    if (entry === undefined) model.seen.delete(name);
    else model.seen.set(name, entry);
    model.contested.delete(name);
  }
}

async function applyTransfer(
  workspace: Workspace,
  model: Model,
  { kind, from, to, force }: Step & { readonly kind: 'move' | 'copy' },
): Promise<void> {
  const [source, target] = [key(from), key(to)];
  const outcome = await kindOf(workspace[kind](source, target, { force }));
  if (outcome === 'conflict') return expectContest(model);
  const expected = transferred(model.seen, kind, source, target, force);
  expect(outcome).toBe(typeof expected === 'string' ? expected : 'done');
  if (typeof expected === 'string') return;
  const names = new Set([...model.seen.keys(), ...expected.keys()]);
  for (const name of names) {
    if (!isSame(model.seen.get(name), expected.get(name))) model.touched.add(name);
  }
  model.seen = expected;
}

/** The map after it, or the kind of error. */
function transferred(
  seen: ReadonlyMap<string, Entry>,
  kind: 'move' | 'copy',
  from: string,
  to: string,
  force: boolean,
): Map<string, Entry> | string {
  const isFile = !from.endsWith('/') && seen.has(from);
  const source = isFile || from.endsWith('/') ? from : `${from}/`;
  const moved = isFile ? [source] : namesBelow(seen, source);
  if (moved.length === 0) return 'not-found';
  const bare = source.replace(/\/$/, '');
  const file = to.endsWith('/') ? `${to}${bare.slice(bare.lastIndexOf('/') + 1)}` : to;
  const target = isFile ? file : `${file}/`;
  const ancestors = file.split('/').slice(0, -1);
  if (ancestors.some((_, i) => seen.has(ancestors.slice(0, i + 1).join('/')))) {
    return 'not-directory';
  }
  const there = [...seen.keys()].filter((name) => name === file || name.startsWith(`${file}/`));
  if (isFile && there.some((name) => name !== file)) return 'is-directory';
  if (!force && there.length > 0) return 'exists';
  if (source === target || (!isFile && target.startsWith(source))) return 'invalid';
  const after = new Map(seen);
  for (const name of there) after.delete(name);
  if (kind === 'move') for (const name of moved) after.delete(name);
  for (const name of moved) {
    after.set(target + name.slice(source.length), seen.get(name) as Entry);
  }
  return after;
}

async function applyGraft(
  { sandbox, workspace }: Actors,
  model: Model,
  { prefix, names, mode }: Step & { readonly kind: 'graft' },
): Promise<void> {
  const entries = names.map((name) => [key(name), entryOf(name, 9)] as const);
  const repository = await sandbox.repository();
  const keyed = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const batch = keyed.map(([each, entry]) => ({ key: each, entry }));
  const tree = await buildTree(repository.nodes, [batch]);
  const outcome = await kindOf(workspace.graft(key(prefix), tree.id, mode));
  if (outcome === 'conflict') return expectContest(model);
  expect(outcome).toBe('done');
  if (mode === 'replace')
    for (const name of namesBelow(model.seen, key(prefix))) model.seen.delete(name);
  for (const [name, entry] of entries)
    if (name.startsWith(key(prefix))) model.seen.set(name, entry);
}

/** A name that nothing is staged at shows what others committed there. */
async function applyOthers(
  { others, workspace }: Actors,
  model: Model,
  { names, seed }: Step & { readonly kind: 'others' },
): Promise<void> {
  const entries = names.map((name) => ({ key: key(name), entry: entryOf(name, 20 + seed) }));
  await others.stage(entries);
  const outcome = await kindOf(others.commit({ message: 'theirs', author: 'per' }));
  if (outcome === 'nothing-to-commit') return;
  expect(outcome).toBe('done');
  for (const { key: name, entry } of entries) {
    const before = model.head.get(name);
    if (isSame(before, entry)) continue;
    model.head.set(name, entry);
    const shown = await (await workspace.view()).get(name);
    const isStaged = model.touched.has(name) && isSame(shown, before);
    if (isSame(model.seen.get(name), before) && !isStaged) model.seen.set(name, entry);
    else if (!isSame(model.seen.get(name), entry)) model.contested.add(name);
  }
}

function isSame(a: Entry | undefined, b: Entry | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
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
  if (outcome === 'conflict') return expectContest(model);
  expect(outcome).toBe(changed.length === 0 ? 'nothing-to-commit' : 'done');
  for (const name of changed) {
    const entry = model.seen.get(name);
    if (entry === undefined) model.head.delete(name);
    else model.head.set(name, entry);
    model.contested.delete(name);
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
    changes
      .filter(
        (each) => each.change === kind || (kind === 'changed' && each.change.endsWith('-changed')),
      )
      .reduce((sum, each) => sum + each.entries, 0);
  expect([count('added'), count('changed'), count('removed')]).toEqual([added, changed, removed]);
  const paths = changes.map((each) => each.path);
  expect(paths).toEqual([...paths].sort());
}

it('a workspace shows, lists and commits what a plain map would hold', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(0, 2, 1_000), async (drawn, foldRows) => {
      const sandbox = await Sandbox.make();
      try {
        const workspace = await sandbox.workspace('main', sandbox.home, { foldRows });
        const others = await sandbox.workspace('main', sandbox.anotherHome());
        const model: Model = {
          head: new Map(),
          seen: new Map(),
          contested: new Set(),
          touched: new Set(),
        };
        for (const step of drawn) {
          await apply({ sandbox, workspace, others }, model, step);
          await check(sandbox, workspace, model);
        }
        await check(sandbox, await sandbox.workspace(), model);
      } finally {
        await sandbox.remove();
      }
    }),
    { seed: 8421, numRuns: Number(process.env['TARN_MODEL_RUNS'] ?? 60) },
  );
}, 600_000);
