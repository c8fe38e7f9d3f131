/**
 * build.mjs STORAGE FILES: makes a repository there, or takes an empty one, whose `main` gets one commit
 * with that many files of layout.ts, their entries streamed as an import of a bucket's listing would; prints seconds and
 * peak memory as JSON. A process of its own, so that its memory is its own.
 */
import { createHash } from 'node:crypto';
import { buildTree } from '../../../dist/tree/write.js';
import { Repository } from '../../../dist/repo/repository.js';
import { pathOf } from '../../../dist/scripts/bench/history/layout.js';

const [storage, count] = process.argv.slice(2);
const files = Number(count);
const BATCH = 1_000;
const PACKED_FILES = 4_000;

const repository = await Repository.create('bench', storage, 'bench').catch((error) => {
  if (error.kind !== 'exists') throw error;
  return Repository.open('bench', storage);
});
const { id: head, commit } = await headOf(repository);
const start = performance.now();
const { id: tree } = await buildTree(repository.nodes, batches());
const seconds = (performance.now() - start) / 1000;
const next = await repository.commits.save({ ...commit, tree, parents: [head], message: 'build' });
const change = { kind: 'branch', name: 'main', expected: head, next, by: 'bench', why: 'commit' };
await repository.refs.compareAndSwap({ ...change, atMs: Date.now() });
await repository.close();
console.log(JSON.stringify({ seconds, peakMib: process.resourceUsage().maxRSS / 1024 }));

async function headOf({ refs, commits }) {
  const id = await refs.get('branch', 'main');
  return { id, commit: await commits.read(id) };
}

function* batches() {
  let pack = '';
  for (let from = 0; from < files; from += BATCH) {
    const batch = [];
    for (let i = from; i < Math.min(files, from + BATCH); i++) {
      if (i % PACKED_FILES === 0) pack = hash(`pack ${i}`);
      batch.push({ key: pathOf(i), entry: entryOf(i, pack) });
    }
    yield batch;
  }
}

/** A packed file of distinct content; its bytes are nowhere, and nothing here reads them. */
function entryOf(index, pack) {
  return {
    kind: 'file',
    size: 4096,
    mtimeSec: 1_749_922_200 + Math.floor(index / 20),
    mtimeNsec: 0,
    mode: 0o644,
    // Distinct, and as a hash to the tree; to make one for each would take longer than the tree.
    content: `sha256:${pack.slice(0, 56)}${index.toString(16).padStart(8, '0')}`,
    address: { kind: 'packed', pack, offset: 8 + 4096 * (index % PACKED_FILES) },
  };
}

function hash(text) {
  return createHash('sha256').update(text).digest('hex');
}
