import { hash as hashOnce } from 'node:crypto';
import type { Entry } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyFromBytes, keyToBytes, PATH_BYTES_MAX } from '../model/path.js';
import type { Span } from '../model/span.js';
import { spanOfKey, WHOLE_SPAN } from '../model/span.js';
import { DurableDatabase } from '../store/local/durable-database.js';
import type { RawRow, RawState } from './staging-tables.js';
import { PAGE_ROWS, SCHEMA, Statements } from './staging-tables.js';

const VERSION_MAX = Number.MAX_SAFE_INTEGER;
/** Of a branch on which nothing was ever staged. */
const UNTOUCHED: StagingState = { version: 0, clearings: 0, tree: undefined };
const BEHIND_ALL_KEYS = Buffer.alloc(PATH_BYTES_MAX + 1, 0xff);
const NO_PATH = Buffer.alloc(0);

/** What a reader has to know of a branch's staged changes to see that they are others by now. */
export interface StagingState {
  /** Grows with every change. */
  readonly version: number;
  /** Grows when rows leave staging: committed (the head moved before that), folded or given up. */
  readonly clearings: number;
  /** What the rows lie upon; without it that is the head. */
  readonly tree: StagedTree | undefined;
}

/**
 * Changes in the form of a tree: what it has that the tree of its base has not. Its nodes are
 * durable.
 */
export interface StagedTree {
  readonly tree: NodeId;
  /** The head that the changes were made on. */
  readonly base: CommitId;
}

export interface StagedRow {
  readonly key: Key;
  /** What is staged at the path; undefined when it is removed. */
  readonly entry: Entry | undefined;
  /** The head that the change was made on. */
  readonly base: CommitId;
}

/** Rows of one moment. */
export interface StagedPage {
  readonly state: StagingState;
  readonly rows: StagedRow[];
  /** No more rows follow in the span. */
  readonly isLast: boolean;
}

export type StagedWrite = {
  readonly key: Key;
  /** The head that this one is made on, where that is another than of the rest. */
  readonly madeOn?: CommitId;
} & (
  | { readonly kind: 'put'; readonly entry: Entry }
  /** As it is below the rows: nothing to stage, unless a row says something else. */
  | { readonly kind: 'restore'; readonly entry: Entry }
  | { readonly kind: 'remove' }
);

/** The head that a change is made on, and what was counted before it was read. */
export interface StagedBase {
  readonly commit: CommitId;
  readonly clearings: number;
  /** Where the change follows from what is staged: the version in which that was read. */
  readonly version?: number;
}

/** What a change of the staged tree does besides. */
export interface TreeChangeOptions {
  /** Rows to take out: those of the spans that are no newer than `versionMax`. */
  readonly spans?: readonly Span[];
  readonly versionMax?: number;
}

/** A branch whose new name may not have reached its staged changes yet. */
export interface StagedRename {
  readonly from: string;
  readonly to: string;
}

/**
 * Changes that are durable but not committed, of the branches of one repository, in SQLite; safe
 * among threads and processes. A branch has at most one staged tree, which holds what was done to
 * many paths at once, and rows of single paths that lie on top of it.
 */
export class Staging {
  readonly #database: DurableDatabase;
  readonly #statements: Statements;
  /** The last one that matched its checksum: mostly all rows have the same. */
  #soundBase: CommitId | undefined;

  /** @throws TarnError corrupt, unsupported, no-space, denied, io; all name the file */
  constructor(path: string) {
    this.#database = new DurableDatabase(path, SCHEMA, 'create');
    this.#statements = new Statements(this.#database);
  }

  state(branch: string): StagingState {
    return this.#database.run(() => this.#stateOf(this.#statements.branch.get(branch)));
  }

  /** The state, and the rows with `from` <= path < `to` of one moment, PAGE_ROWS at most. */
  page(branch: string, from: Key, to: Key | undefined, versionMax = VERSION_MAX): StagedPage {
    return this.#database.read(() => {
      const found = this.#statements.branch.get(branch);
      if (found === undefined) return { state: UNTOUCHED, rows: [], isLast: true };
      const raw = this.#statements.page.all(found.id, keyToBytes(from), endBytes(to), versionMax);
      const rows = raw.map((row) => this.#decode(row));
      return { state: this.#stateOf(found), rows, isLast: rows.length < PAGE_ROWS };
    });
  }

  /** Whether the branch has more rows than that. */
  hasMoreRows(branch: string, than: number): boolean {
    const { count } = this.#database.run(() => this.#statements.count.get(branch, than + 1)) ?? {
      count: 0,
    };
    return count > than;
  }

  hasRow(branch: string, key: Key): boolean {
    const { from, to } = spanOfKey(key);
    return this.page(branch, from, to).rows.length > 0;
  }

  /** Every row of the span that is no newer than `versionMax`, in byte order of paths. */
  *rows(branch: string, span: Span, versionMax?: number): Iterable<StagedRow> {
    let from = span.from;
    for (;;) {
      const { rows, isLast } = this.page(branch, from, span.to, versionMax);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || isLast) return;
      from = `${last.key}\0` as Key;
    }
  }

  /**
   * All of it or, when it fails, nothing. 'stale' when a commit has cleared rows since `base` was
   * seen: then nothing is written, and the caller looks at the new head.
   */
  write(branch: string, base: StagedBase, writes: readonly StagedWrite[]): 'done' | 'stale' {
    if (writes.length === 0) return 'done';
    const { put, restore } = this.#statements;
    return this.#change(branch, base, (branchId, version, restBaseId) => {
      for (const write of writes) {
        const path = keyToBytes(write.key);
        const baseId = write.madeOn === undefined ? restBaseId : this.#baseId(write.madeOn);
        const entry = write.kind === 'remove' ? null : JSON.stringify(write.entry);
        const sum = checksum(branchId, path, version, entry) + baseId;
        if (write.kind === 'restore') restore.run(version, baseId, entry, sum, branchId, path);
        else put.run(branchId, path, version, baseId, entry, sum);
      }
    });
  }

  /**
   * Changes the tree that the rows lie upon, and takes out rows that it now holds. As write, also
   * 'stale'. Rows that are newer stay, on top of it.
   */
  setTree(
    branch: string,
    seen: StagedBase,
    staged: StagedTree | undefined,
    { spans = [WHOLE_SPAN], versionMax = VERSION_MAX }: TreeChangeOptions,
  ): 'done' | 'stale' {
    return this.#change(branch, seen, (branchId, version) => {
      this.#deleteRows(branchId, spans, versionMax);
      this.#putTree(branchId, version, staged);
      this.#statements.cleared.run(branchId);
    });
  }

  /**
   * Takes out of staging what a commit now holds: rows of the spans no newer than `versionMax`, and
   * the staged tree of that time, of which `left` stays. That may be undone by a crash of the machine
   * where a commit has `moved` the branch: it holds all that comes back, so that this is no change.
   * @param moved the commit's parent and itself: they differ only by what was staged here, so that
   *   other rows that are staged on the parent are as good on the commit
   */
  clear(
    branch: string,
    spans: readonly Span[],
    versionMax: number,
    {
      left,
      moved,
    }: {
      readonly left?: StagedTree | undefined;
      readonly moved?: { readonly from: CommitId; readonly to: CommitId };
    } = {},
  ): void {
    const { addBase, rebaseRows, nextVersion, cleared } = this.#statements;
    const work = (): void => {
      const found = nextVersion.get(branch);
      if (found === undefined) return;
      this.#deleteRows(found.id, spans, versionMax);
      const treeVersion = this.#statements.branch.get(branch)?.tree_version ?? undefined;
      if (treeVersion !== undefined && treeVersion <= versionMax) {
        this.#putTree(found.id, found.version, left);
      }
      cleared.run(found.id);
      if (moved === undefined) return;
      addBase.run(moved.to, textChecksum(moved.to));
      rebaseRows.run(moved.to, found.id, moved.from);
    };
    if (moved === undefined) this.#database.write(work);
    else this.#database.writeSoon(work);
  }

  /** Gives up what is staged on the branch and no newer than `versionMax`. */
  discard(branch: string, versionMax = VERSION_MAX): void {
    this.clear(branch, [WHOLE_SPAN], versionMax);
  }

  /**
   * Writes down that a branch is about to get another name, so that what is staged on it can follow
   * whatever happens in between (settleRenames).
   */
  beginRename({ from, to }: StagedRename): void {
    this.#database.write(() => this.#statements.addRename.run(from, to));
  }

  renames(): StagedRename[] {
    return this.#database.run(() => this.#statements.renames.all());
  }

  /** The branch did not get the other name. */
  abandonRename(from: string): void {
    this.#database.write(() => this.#statements.endRename.run(from));
  }

  /** What is staged on `from` goes with it to its new name, where nothing may be staged. */
  rename({ from, to }: StagedRename): void {
    const { branch, dropBranch, dropTree, rename, endRename } = this.#statements;
    this.#database.write(() => {
      const old = branch.get(to);
      if (old !== undefined) {
        this.#deleteRows(old.id, [WHOLE_SPAN], VERSION_MAX);
        dropTree.run(old.id);
        dropBranch.run(to);
      }
      rename.run(to, from);
      endRename.run(from);
    });
  }

  close(): void {
    this.#database.close();
  }

  #change(
    branch: string,
    base: StagedBase,
    work: (branchId: number, version: number, baseId: number) => void,
  ): 'done' | 'stale' {
    const { addBranch, nextVersion } = this.#statements;
    return this.#database.write(() => {
      addBranch.run(branch);
      const found = nextVersion.get(branch) as { id: number; version: number; clearings: number };
      if (found.clearings !== base.clearings) return 'stale';
      if (base.version !== undefined && found.version !== base.version + 1) return 'stale';
      work(found.id, found.version, this.#baseId(base.commit));
      return 'done';
    });
  }

  #baseId(commit: CommitId): number {
    this.#statements.addBase.run(commit, textChecksum(commit));
    return (this.#statements.baseId.get(commit) as { id: number }).id;
  }

  #putTree(branchId: number, version: number, staged: StagedTree | undefined): void {
    const { putTree, dropTree } = this.#statements;
    if (staged === undefined) return void dropTree.run(branchId);
    const base = this.#baseId(staged.base);
    const sum = checksum(branchId, NO_PATH, version, staged.tree) + base;
    putTree.run(branchId, version, base, staged.tree, sum);
  }

  #deleteRows(branchId: number, spans: readonly Span[], versionMax: number): void {
    const { deleteRows } = this.#statements;
    for (const { from, to } of spans) {
      deleteRows.run(branchId, keyToBytes(from), endBytes(to), versionMax);
    }
  }

  #stateOf(raw: RawState | undefined): StagingState {
    if (raw === undefined) return UNTOUCHED;
    const { id, version, clearings, tree, tree_version } = raw;
    if (tree_version === null) return { version, clearings, tree: undefined };
    const row = { ...raw, branch: id, path: NO_PATH, version: tree_version, entry: tree };
    return { version, clearings, tree: { tree, base: this.#checkedBase(row) } };
  }

  #decode(row: RawRow): StagedRow {
    const { path, entry } = row;
    const base = this.#checkedBase(row);
    const key = keyFromBytes(path);
    if (entry === null) return { key, entry: undefined, base };
    try {
      const decoded = JSON.parse(entry) as Entry;
      if (Number.isSafeInteger(entrySize(decoded))) return { key, entry: decoded, base };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw this.#database.damaged(`the row of '${path.toString('utf8')}' holds no entry`);
  }

  /** SQLite keeps no checksum of its pages, and a flipped bit must not be committed. */
  #checkedBase(row: RawRow): CommitId {
    const { branch, path, version, base, entry, commit_id, commit_checksum } = row;
    if (row.checksum !== checksum(branch, path, version, entry) + base) {
      const what = path.length === 0 ? 'the staged tree' : `'${path.toString('utf8')}'`;
      throw this.#database.damaged(`the row of ${what} does not match its checksum`);
    }
    if (commit_id !== this.#soundBase) {
      if (commit_id === null || commit_checksum !== textChecksum(commit_id)) {
        throw this.#database.damaged(`the row of the base ${base} does not match its checksum`);
      }
      this.#soundBase = commit_id;
    }
    return commit_id;
  }
}

/** Of all in a row but its base, the number of which is added: it changes without the rest. */
function checksum(branch: number, path: Buffer, version: number, entry: string | null): number {
  const text = path.toString('latin1');
  return textChecksum(`${branch} ${version} ${text.length} ${text}${entry ?? ''}`);
}

/** 48 bits, so that a number still holds it exactly with another one added. */
function textChecksum(text: string): number {
  return hashOnce('sha256', text, 'buffer').readUIntBE(0, 6);
}

function endBytes(to: Key | undefined): Buffer {
  return to === undefined ? BEHIND_ALL_KEYS : keyToBytes(to);
}
