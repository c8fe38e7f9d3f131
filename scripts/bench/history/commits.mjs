/**
 * commits.mjs STORAGE BRANCH COMMITS FILES PATH: makes the branch from main and commits one scattered
 * file at a time on it, and the file PATH in three of the commits.
 */
import { createHash } from 'node:crypto';
import { editTree } from '../../../dist/tree/write.js';
import { Repository } from '../../../dist/repo/repository.js';
import { scattered } from '../../../dist/scripts/bench/history/layout.js';

const [storage, branch, count, size, path] = process.argv.slice(2);
const commits = Number(count);
const files = Number(size);
const repository = await Repository.open('bench', storage);
let { commitId: head, commit } = await repository.resolve('main@');
const chosen = new Set([0.2, 0.5, 0.8].map((part) => Math.floor(part * commits)));
for (let round = 0; round < commits; round++) {
  const key = chosen.has(round) ? path : scattered(files, 1, round + 0.5)[0];
  const edits = [[{ kind: 'put', key, entry: entryOf(round) }]];
  const { id: tree } = await editTree(repository.nodes, commit.tree, edits);
  commit = { ...commit, tree, parents: [head], dateMs: commit.dateMs + 1000, message: `${round}` };
  head = await repository.commits.save(commit);
}
const change = { kind: 'branch', name: branch, expected: undefined, next: head };
await repository.refs.compareAndSwap({ ...change, by: 'bench', atMs: Date.now(), why: 'bench' });
await repository.close();

function entryOf(round) {
  const content = createHash('sha256').update(`logged ${round}`).digest('hex');
  const address = { kind: 'whole' };
  const time = { mtimeSec: 1_749_922_200 + round, mtimeNsec: 0 };
  return { kind: 'file', size: 10, mode: 0o644, ...time, content: `sha256:${content}`, address };
}
