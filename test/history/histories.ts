import fc from 'fast-check';
import type { HistorySource } from '../../src/history/source.js';
import type { Commit } from '../../src/model/commit.js';
import { commitIdOf, encodeCommit } from '../../src/model/commit-format.js';
import type { Entry } from '../../src/model/entry.js';
import type { CommitId } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { isSameEntry } from '../../src/model/same-entry.js';
import type { Nodes } from '../../src/tree/nodes.js';
import { buildTree } from '../../src/tree/write.js';
import { file, key, MemoryNodes, nodesOver, SMALL, sorted } from '../tree/fixtures.js';

/** What one commit of a drawn history holds, as a plain map. */
export type Files = ReadonlyMap<Key, Entry>;

/** Commit n has parents among those before it; its files are its first parent's, then `edits`. */
export interface DrawnCommit {
  readonly parents: readonly number[];
  readonly edits: readonly (readonly [Key, number | 'removed' | 'from the last parent'])[];
  readonly dateMs: number;
}

/** A history in memory, with the maps that its commits stand for. */
export class DrawnHistory implements HistorySource {
  readonly nodes: Nodes = nodesOver(new MemoryNodes(), SMALL);
  readonly ids: CommitId[] = [];
  readonly files: Files[] = [];
  readonly commits = new Map<CommitId, Commit>();
  reads = 0;

  static async of(drawn: readonly DrawnCommit[]): Promise<DrawnHistory> {
    const history = new DrawnHistory();
    for (const each of drawn) await history.add(each);
    return history;
  }

  async add({ parents, edits, dateMs }: DrawnCommit, about: Partial<Commit> = {}): Promise<number> {
    const number = this.ids.length;
    const files = new Map(this.files[parents[0] ?? -1] ?? []);
    for (const [path, edit] of edits) {
      const last = this.files[parents.at(-1) ?? -1];
      const entry = typeof edit === 'number' ? file(edit) : last?.get(path);
      if (edit === 'removed' || entry === undefined) files.delete(path);
      else files.set(path, entry);
    }
    const { id: tree } = await buildTree(this.nodes, [sorted(files)]);
    const commit: Commit = {
      tree,
      parents: parents.map((parent) => this.ids[parent] as CommitId),
      author: 'rosa',
      dateMs,
      message: `commit ${number}`,
      metadata: {},
      ...about,
    };
    const id = commitIdOf(encodeCommit(commit));
    this.ids.push(id);
    this.files.push(files);
    this.commits.set(id, commit);
    return number;
  }

  async readCommit(id: CommitId): Promise<Commit> {
    this.reads += 1;
    const commit = this.commits.get(id);
    if (commit === undefined) throw new Error(`no commit ${id}`);
    return commit;
  }

  numberOf(id: string): number {
    return this.ids.findIndex((each) => each === id);
  }

  parentsOf(number: number): number[] {
    const { parents = [] } = this.commits.get(this.ids[number] as CommitId) ?? {};
    return parents.map((id) => this.numberOf(id));
  }

  /** With itself. */
  ancestorsOf(number: number): Set<number> {
    const found = new Set([number]);
    for (const each of found) for (const parent of this.parentsOf(each)) found.add(parent);
    return found;
  }

  isSame(a: number, b: number, path: Key): boolean {
    return isSameEntry(this.files[a]?.get(path), this.files[b]?.get(path));
  }
}

/** Few paths, which lie below, beside and before one another. */
export const PATHS = [
  'a',
  'a/1',
  'a/2',
  'a/b/1',
  'a/b/2',
  'a/b/c/1',
  'a0',
  'b',
  'b/1',
  'labels/',
  'labels/run-8421.json',
  'z',
].map(key);

const edit = fc.tuple(
  fc.constantFrom(...PATHS),
  fc.oneof(
    fc.integer({ min: 1, max: 3 }),
    fc.constantFrom('removed' as const, 'from the last parent' as const),
  ),
);

/** Histories with forks, merges of up to three, several first commits and dates that lie. */
export const drawnHistories: fc.Arbitrary<DrawnCommit[]> = fc
  .array(
    fc.tuple(
      fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      fc.array(edit, { maxLength: 3 }),
      fc.nat(30),
    ),
    { minLength: 1, maxLength: 16 },
  )
  .map((rows) =>
    rows.map(([picks, isLine, edits, dateMs], n): DrawnCommit => {
      const near = (isLine ? [0] : picks).map((pick) => n - 1 - pick);
      const parents = [...new Set(near.filter((parent) => parent >= 0))];
      return { parents, edits, dateMs: isLine ? 10 * n : dateMs };
    }),
  );

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
