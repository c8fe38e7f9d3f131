import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../../src/model/entry.js';
import type { CommitId, NodeId } from '../../src/model/ids.js';
import { keyToText } from '../../src/model/path.js';
import { Repository } from '../../src/repo/repository.js';
import type { Edit } from '../../src/tree/edit.js';
import { editTree } from '../../src/tree/write.js';
import { fileEntry, key } from '../workspace/sandbox.js';

/** Path to the seed of a file's content; null removes. */
export type Files = Readonly<Record<string, string | null>>;

export const AUTHOR = 'rosa';

/** An entry that says what it was made of. */
export function entryOf(seed: string): Entry {
  return { ...fileEntry(seed), metadata: { seed } };
}

export function seedOf(entry: Entry): string {
  return entry.metadata?.['seed'] ?? 'no seed';
}

/** A repository `drive` in a directory of its own, whose commits are made of seeds. */
export class HistorySandbox {
  readonly directory: string;
  readonly storage: string;
  readonly repository: Repository;

  private constructor(directory: string, storage: string, repository: Repository) {
    this.directory = directory;
    this.storage = storage;
    this.repository = repository;
  }

  /** @param storage in that directory without it */
  static async make(storage?: string): Promise<HistorySandbox> {
    const directory = mkdtempSync(join(tmpdir(), 'tarn-history-'));
    const place = storage ?? join(directory, 'drive');
    const repository = await Repository.create('drive', place, AUTHOR);
    return new HistorySandbox(directory, place, repository);
  }

  async remove(): Promise<void> {
    await this.repository.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async branch(name: string, from = 'main'): Promise<void> {
    const { commitId } = await this.repository.resolve(from);
    await this.repository.createRef('branch', name, commitId, AUTHOR);
  }

  /** @param more parents beside the branch's head, for histories that no command makes */
  async commit(branch: string, files: Files, more: readonly CommitId[] = []): Promise<CommitId> {
    const { repository } = this;
    const published = await repository.publish({
      branch,
      by: AUTHOR,
      kind: 'commit',
      why: 'commit',
      prepare: async (head) => {
        const tree = await this.edit(head.commit.tree, files);
        const parents = [head.id, ...more];
        const message = `Change ${Object.keys(files).join(', ')}`;
        const rest = { author: AUTHOR, dateMs: Date.now(), message, metadata: {} };
        return { kind: 'commit', commit: { tree, parents, ...rest } };
      },
    });
    return published.id;
  }

  async edit(tree: NodeId, files: Files): Promise<NodeId> {
    const edits = Object.entries(files).map(([path, seed]): Edit => {
      if (seed === null) return { kind: 'remove', key: key(path) };
      return { kind: 'put', key: key(path), entry: entryOf(seed) };
    });
    edits.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    return (await editTree(this.repository.nodes, tree, [edits])).id;
  }

  async head(branch: string): Promise<CommitId> {
    return (await this.repository.resolve(`${branch}@`)).commitId;
  }

  /** Path to seed of what a ref has. */
  async files(ref: string): Promise<Record<string, string>> {
    const { commit } = await this.repository.resolve(ref);
    const cursor = (await this.repository.openTree(commit.tree)).cursor();
    const found: Record<string, string> = {};
    for (let ok = await cursor.seek(key('')); ok; ok = await cursor.next()) {
      found[keyToText(cursor.key)] = seedOf(cursor.entry());
    }
    return found;
  }
}

function keyOf(edit: Edit): string {
  return edit.kind === 'put' || edit.kind === 'remove' ? edit.key : '';
}
