import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cherryPick } from '../../src/history/cherry-pick.js';
import { merge } from '../../src/history/merge.js';
import { mergeBases } from '../../src/history/merge-base.js';
import type { Outcome } from '../../src/history/outcome.js';
import { parsePreference } from '../../src/history/prefer.js';
import { revert } from '../../src/history/revert.js';
import type { CommitId } from '../../src/model/ids.js';
import { keyToText } from '../../src/model/path.js';
import type { Repository } from '../../src/repo/repository.js';
import type { View } from '../../src/repo/view.js';
import { buildTree } from '../../src/tree/write.js';
import { TarnError } from '../../src/util/errors.js';
import type { Workspace } from '../../src/workspace/workspace.js';
import { MemoryNodes, nodesOver } from '../tree/fixtures.js';
import { key, Sandbox } from '../workspace/sandbox.js';
import type { Files, ModelCommit, Prefer } from './reference.js';
import { isSame, mergeFiles, ReferenceModel } from './reference.js';
import { AUTHOR, entryOf, seedOf } from './sandbox.js';

/** Sequences in CI; more by TARN_MODEL_RUNS (docs/contributing.md). */
const RUNS = Number(process.env['TARN_MODEL_RUNS'] ?? 6);
const STEPS_MAX = Number(process.env['TARN_MODEL_STEPS'] ?? 120);
const SEED = Number(process.env['TARN_MODEL_SEED'] ?? 8421);

const BRANCHES = ['main', 'labels-v2', 'incident-2025-06-14-8421-glare'];
const TAGS = ['golden', 'prod-2025-08-15'];
/** Enough that a tree has several nodes. */
const FRAMES = Array.from({ length: 240 }, (_, n) => `raw/run-8421/frame-${n}.jpg`);
const LABELS = ['labels/a', 'labels/b', 'labels/night/a', 'map', 'calibration/lens'];
/** Half of all changes meet in a few paths. */
const PATHS = [...FRAMES.flatMap((_, n) => LABELS[n % LABELS.length] as string), ...FRAMES];

const PREFERENCES: readonly (readonly [string[], Prefer])[] = [
  [[], () => undefined],
  [['src'], () => 'theirs'],
  [['dst'], () => 'ours'],
  [['dst', 'src:labels/**'], (path) => (path.startsWith('labels/') ? 'theirs' : 'ours')],
  [['src:labels/*'], (path) => (/^labels\/[^/]*$/.test(path) ? 'theirs' : undefined)],
];

const branch = fc.nat({ max: BRANCHES.length - 1 }).map((n) => BRANCHES[n] as string);
const path = fc.nat({ max: PATHS.length - 1 }).map((n) => PATHS[n] as string);
const preference = fc.oneof(fc.constant(0), fc.nat({ max: PREFERENCES.length - 1 }));
/** Taken modulo what there is. */
const pick = fc.nat({ max: 1_000 });
/** A branch, or the commit so many before the newest. */
const source = fc.oneof(branch, fc.nat({ max: 8 }));
const kind = <K extends string>(name: K) => fc.constant(name);

const steps = fc.noBias(
  fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: kind('put'),
          branch,
          paths: fc.uniqueArray(path, { minLength: 1, maxLength: 4 }),
          seed: fc.nat({ max: 3 }).map(String),
          isCommitted: fc.boolean(),
        }),
      },
      { weight: 2, arbitrary: fc.record({ kind: kind('remove'), branch, pick }) },
      { weight: 2, arbitrary: fc.record({ kind: kind('move'), branch, pick, to: path }) },
      { weight: 3, arbitrary: fc.record({ kind: kind('commit'), branch }) },
      { weight: 1, arbitrary: fc.record({ kind: kind('branch'), branch, pick }) },
      {
        weight: 6,
        arbitrary: fc.record({ kind: kind('merge'), branch, source, preference }),
      },
      { weight: 2, arbitrary: fc.record({ kind: kind('revert'), branch, pick, preference }) },
      { weight: 2, arbitrary: fc.record({ kind: kind('cherry-pick'), branch, pick, preference }) },
      { weight: 1, arbitrary: fc.record({ kind: kind('reset'), branch, pick }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: kind('tag'), name: fc.constantFrom(...TAGS), pick }),
      },
    ),
    { minLength: 1, maxLength: STEPS_MAX, size: 'max' },
  ),
);

type Step = (typeof steps extends fc.Arbitrary<infer S> ? S : never) extends (infer T)[]
  ? T
  : never;
type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

async function kindOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof TarnError) return error.kind;
    throw error;
  }
}

/** Does each step with the product and with the model, and compares. */
class Run {
  readonly model = new ReferenceModel();
  readonly #repository: Repository;
  readonly #workspaces: ReadonlyMap<string, Workspace>;
  /** Commits never change: each is compared once. */
  readonly #compared = new Set<CommitId>();

  private constructor(repository: Repository, workspaces: ReadonlyMap<string, Workspace>) {
    this.#repository = repository;
    this.#workspaces = workspaces;
  }

  static async start(sandbox: Sandbox): Promise<Run> {
    const repository = await sandbox.repository();
    const workspaces = new Map<string, Workspace>();
    for (const name of BRANCHES) workspaces.set(name, await sandbox.workspace(name));
    const run = new Run(repository, workspaces);
    const head = await run.#head('main');
    run.model.add('main', { ...head, files: new Map(), parents: [] });
    for (const each of [...FRAMES, ...LABELS]) run.model.stagedOn('main').set(each, '0');
    const entries = [...FRAMES, ...LABELS].map((each) => ({ key: key(each), entry: entryOf('0') }));
    await run.#workspace('main').stage(entries);
    await run.commit({ kind: 'commit', branch: 'main' });
    for (const name of BRANCHES.slice(1)) {
      await repository.createRef('branch', name, (await run.#head('main')).id, AUTHOR);
      run.model.branches.set(name, run.model.numberOf('main'));
    }
    return run;
  }

  /** What is staged while the head moves is for the tests of workspaces. */
  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'put':
        return this.put(step);
      case 'remove':
        return this.remove(step);
      case 'move':
        return this.move(step);
      case 'commit':
        return this.commit(step);
      case 'branch':
        return this.renew(step);
      case 'merge':
        this.#discard(step.branch);
        return this.merge(step);
      case 'revert':
        this.#discard(step.branch);
        return this.revert(step);
      case 'cherry-pick':
        this.#discard(step.branch);
        return this.cherryPick(step);
      case 'reset':
        this.#discard(step.branch);
        return this.reset(step);
      case 'tag':
        return this.tag(step);
    }
  }

  /** The product has what the model has: on every branch, by content and by tree, and in tags. */
  async compare(): Promise<void> {
    const { model } = this;
    for (const [name, number] of model.branches) {
      const { id, files } = model.commitAt(number);
      expect((await this.#head(name)).id).toBe(id);
      await this.#compareCommit(id, files);
      const seen = model.seen(name);
      expect(sorted(await filesOf(await this.#workspace(name).view()))).toEqual(sorted(seen));
    }
    for (const [name, number] of model.tags) {
      const { commitId } = await this.#repository.resolve(name);
      expect(commitId).toBe(model.commitAt(number).id);
    }
  }

  async #compareCommit(id: CommitId, files: Files): Promise<void> {
    if (this.#compared.has(id)) return;
    this.#compared.add(id);
    const { tree } = await this.#repository.readCommit(id);
    const entries = sorted(files).map(([name, seed]) => ({ key: key(name), entry: entryOf(seed) }));
    entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    expect(tree).toBe((await buildTree(nodesOver(new MemoryNodes()), [entries])).id);
    const view = await this.#repository.commitView('x', id);
    expect(sorted(await filesOf(view))).toEqual(sorted(files));
  }

  async put({ branch: on, paths, seed, isCommitted }: StepOf<'put'>): Promise<void> {
    const entries = paths.map((each) => ({ key: key(each), entry: entryOf(seed) }));
    await this.#workspace(on).stage(entries);
    for (const each of paths) this.model.stagedOn(on).set(each, seed);
    if (isCommitted) await this.commit({ kind: 'commit', branch: on });
  }

  async remove({ branch: on, pick: n }: StepOf<'remove'>): Promise<void> {
    const found = this.#seenPath(on, n);
    if (found === undefined) return;
    await this.#workspace(on).remove([key(found)]);
    this.model.stagedOn(on).set(found, undefined);
  }

  async move({ branch: on, pick: n, to }: StepOf<'move'>): Promise<void> {
    const seen = this.model.seen(on);
    const from = this.#seenPath(on, n);
    if (from === undefined || from === to) return;
    const work = this.#workspace(on).move(key(from), key(to));
    if (seen.has(to)) {
      expect(await kindOf(work)).toBe('exists');
      return;
    }
    await work;
    this.model.stagedOn(on).set(to, seen.get(from));
    this.model.stagedOn(on).set(from, undefined);
  }

  async commit({ branch: on }: StepOf<'commit'>): Promise<void> {
    const expected = this.model.commitOf(on);
    const work = this.#workspace(on).commit({ message: 'freeze', author: AUTHOR });
    this.model.stagedOn(on).clear();
    if (expected === undefined) {
      expect(await kindOf(work)).toBe('nothing-to-commit');
      return;
    }
    await work;
    this.model.add(on, {
      ...(await this.#head(on)),
      files: expected,
      parents: [this.model.numberOf(on)],
    });
  }

  /** The branch is deleted, with what is staged on it, and made again elsewhere. */
  async renew({ branch: on, pick: n }: StepOf<'branch'>): Promise<void> {
    const number = n % this.model.commits.length;
    this.#discard(on);
    await this.#repository.deleteRef('branch', on, AUTHOR);
    const { id } = this.model.commitAt(number);
    await this.#repository.createRef('branch', on, id, AUTHOR);
    this.model.branches.set(on, number);
  }

  #discard(on: string): void {
    this.#workspace(on).discard();
    this.model.stagedOn(on).clear();
  }

  async merge({ branch: on, source: from, preference: n }: StepOf<'merge'>): Promise<void> {
    const { model } = this;
    const newest = model.commits.length - 1;
    const theirs = typeof from === 'string' ? model.numberOf(from) : Math.max(newest - from, 0);
    const source = typeof from === 'string' ? from : model.commitAt(theirs).id;
    const [texts, prefer] = PREFERENCES[n] as (typeof PREFERENCES)[number];
    const preferences = texts.map(parsePreference);
    const work = merge(this.#repository, { branch: on, source, author: AUTHOR, preferences });
    if (source === on) {
      expect(await kindOf(work)).toBe('invalid');
      return;
    }
    const outcome = await work;
    const ours = model.numberOf(on);
    const bases = model.basesOf([ours], [theirs]);
    await this.#compareBases(ours, theirs, bases);
    const sides = {
      base: model.baseFiles(bases),
      ours: model.commitAt(ours).files,
      theirs: model.commitAt(theirs).files,
    };
    const isKnown = bases.includes(theirs);
    const expected = isKnown ? undefined : mergeFiles(sides, prefer);
    await this.#took(on, outcome, expected, [ours, theirs]);
  }

  async revert({ branch: on, pick: n, preference }: StepOf<'revert'>): Promise<void> {
    const { commit, parent, mainline } = this.#change(n);
    const [texts, prefer] = PREFERENCES[preference] as (typeof PREFERENCES)[number];
    const work = revert(this.#repository, {
      branch: on,
      commit: commit.id,
      author: AUTHOR,
      preferences: texts.map(parsePreference),
      ...mainline,
    });
    if (parent === undefined) {
      expect(await kindOf(work)).toBe('invalid');
      return;
    }
    const ours = this.model.headOf(on).files;
    const merged = mergeFiles({ base: commit.files, ours, theirs: parent.files }, prefer);
    await this.#took(on, await work, unlessSame(merged, ours), [this.model.numberOf(on)]);
  }

  async cherryPick({ branch: on, pick: n, preference }: StepOf<'cherry-pick'>): Promise<void> {
    const { commit, parent, mainline } = this.#change(n);
    const [texts, prefer] = PREFERENCES[preference] as (typeof PREFERENCES)[number];
    const work = cherryPick(this.#repository, {
      branch: on,
      commits: [commit.id],
      author: AUTHOR,
      preferences: texts.map(parsePreference),
      ...mainline,
    });
    if (parent === undefined) {
      expect(await kindOf(work)).toBe('invalid');
      return;
    }
    const ours = this.model.headOf(on).files;
    const merged = mergeFiles({ base: parent.files, ours, theirs: commit.files }, prefer);
    await this.#took(on, await work, unlessSame(merged, ours), [this.model.numberOf(on)]);
  }

  async reset({ branch: on, pick: n }: StepOf<'reset'>): Promise<void> {
    const number = n % this.model.commits.length;
    const [from, to] = [this.model.headOf(on).id, this.model.commitAt(number).id];
    await this.#repository.resetBranch({ branch: on, from, to, by: AUTHOR });
    this.model.branches.set(on, number);
  }

  async tag({ name, pick: n }: StepOf<'tag'>): Promise<void> {
    const number = n % this.model.commits.length;
    const work = this.#repository.createRef('tag', name, this.model.commitAt(number).id, AUTHOR);
    expect(await kindOf(work)).toBe(this.model.tags.has(name) ? 'exists' : 'done');
    if (!this.model.tags.has(name)) this.model.tags.set(name, number);
  }

  /** Checks an outcome against `expected`, undefined for nothing, and follows it. */
  async #took(
    on: string,
    outcome: Outcome,
    expected: { files: Files; conflicts: readonly string[] } | undefined,
    parents: readonly number[],
  ): Promise<void> {
    if (expected === undefined) {
      expect(outcome.kind).toBe('nothing');
      return;
    }
    if (outcome.kind === 'conflicts' || expected.conflicts.length > 0) {
      const found = outcome.kind === 'conflicts' ? outcome.conflicts : [];
      expect(found.map((each) => keyToText(each.key))).toEqual(expected.conflicts);
      return;
    }
    expect(outcome.kind).toBe('done');
    this.model.add(on, { ...(await this.#head(on)), files: expected.files, parents });
  }

  async #compareBases(a: number, b: number, bases: readonly number[]): Promise<void> {
    const { model } = this;
    const read = (id: CommitId) => this.#repository.readCommit(id);
    const found = await mergeBases(read, model.commitAt(a).id, model.commitAt(b).id);
    expect(found).toEqual(bases.map((each) => model.commitAt(each).id));
  }

  /** A commit, and what its changes are counted from: of a merge sometimes its second parent. */
  #change(n: number): {
    commit: ModelCommit;
    parent?: ModelCommit;
    mainline: { mainline?: number };
  } {
    const commit = this.model.commitAt(n % this.model.commits.length);
    const count = commit.parents.length;
    const chosen = n % Math.max(count, 1);
    const number = commit.parents[chosen];
    const mainline = count > 1 ? { mainline: chosen + 1 } : {};
    return {
      commit,
      mainline,
      ...(number === undefined ? {} : { parent: this.model.commitAt(number) }),
    };
  }

  #seenPath(on: string, n: number): string | undefined {
    const there = sorted(this.model.seen(on));
    return there[n % Math.max(there.length, 1)]?.[0];
  }

  #workspace(name: string): Workspace {
    return this.#workspaces.get(name) as Workspace;
  }

  async #head(name: string): Promise<{ id: CommitId; dateMs: number }> {
    const { commitId, commit } = await this.#repository.resolve(`${name}@`);
    return { id: commitId, dateMs: commit.dateMs };
  }
}

function unlessSame<T extends { files: Files; conflicts: readonly string[] }>(
  merged: T,
  ours: Files,
): T | undefined {
  return merged.conflicts.length === 0 && isSame(merged.files, ours) ? undefined : merged;
}

function sorted(files: Files): [string, string][] {
  return [...files].sort(([a], [b]) => (a < b ? -1 : 1));
}

async function filesOf(view: View): Promise<Files> {
  const cursor = view.cursor();
  const found = new Map<string, string>();
  for (let ok = await cursor.seek(key('')); ok; ok = await cursor.next()) {
    found.set(keyToText(cursor.key), seedOf(cursor.entry()));
  }
  return found;
}

it('is, after every step of any sequence, what plain maps say', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const sandbox = await Sandbox.make();
      try {
        const run = await Run.start(sandbox);
        await run.compare();
        for (const step of sequence) {
          await run.step(step);
          await run.compare();
        }
      } finally {
        await sandbox.remove();
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
}, 3_600_000);
