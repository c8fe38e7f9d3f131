/** ordinals.mjs STORAGE FILES: medians of rank and select on main, warm, as JSON. */
import { Repository } from '../../../dist/repo/repository.js';
import { pathOf } from '../../../dist/scripts/bench/history/layout.js';

const [storage, count] = process.argv.slice(2);
const files = Number(count);
const repository = await Repository.open('bench', storage);
const { commit } = await repository.resolve('main@');
const tree = await repository.openTree(commit.tree);
const at = (round) => (round * 1_000_003) % files;
console.log(
  JSON.stringify({
    rankMs: await median((round) => tree.rank(pathOf(at(round)))),
    selectMs: await median((round) => tree.select(at(round))),
  }),
);
await repository.close();

async function median(work) {
  const times = [];
  for (let round = 0; round < 1_000; round++) {
    const start = performance.now();
    await work(round);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[500];
}
