// One of several processes that change one repository; what it runs is the built product. Says each
// thing that it was told is done, as a line of JSON.
import { Buffer } from 'node:buffer';
import process from 'node:process';
import { merge } from '../../dist/history/merge.js';
import { contentIdOf, sha256 } from '../../dist/model/ids.js';
import { Home } from '../../dist/workspace/home.js';
import { OpenRepository } from '../../dist/workspace/open-repository.js';

const ATTEMPTS_MAX = 200;

const { home: directory, storage, name, rounds } = JSON.parse(process.argv[2]);
const home = Home.open(directory);
home.addRepository({ name: 'drive', storage });
const open = await OpenRepository.open(home, 'drive', {});
const { repository } = open;

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const file = (metadata) => {
  const hash = sha256(Buffer.from(JSON.stringify(metadata)));
  const content = contentIdOf(10, hash);
  const address = { kind: 'packed', pack: hash, offset: 8 };
  const about = { size: 10, content, address, mode: 0o644, mtimeSec: 0, mtimeNsec: 0 };
  return { kind: 'file', ...about, metadata };
};
const commit = async (branch, key, metadata) => {
  const workspace = open.workspace(branch);
  await workspace.stage([{ key, entry: file(metadata) }]);
  return workspace.commit({ message: key, author: name });
};

/** Reads, adds one and writes, again from the start when someone else was quicker. */
async function increment() {
  const workspace = open.workspace('main');
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const view = await workspace.view();
    const found = await view.get('counter');
    const n = Number(found?.metadata?.n ?? 0) + 1;
    try {
      return await commit('main', 'counter', { n: String(n), by: name });
    } catch (error) {
      if (error.kind !== 'conflict') throw error;
      workspace.discard();
    }
  }
  throw new Error('the counter was never free');
}

for (let round = 0; round < rounds; round += 1) {
  const path = `${name}/${round}`;
  const branch = `${name}-${round}`;
  say({ kind: 'commit', id: await commit('main', path, { path }), path });
  const { commitId } = await repository.resolve('main@');
  await repository.createRef('branch', branch, commitId, name);
  say({ kind: 'branch', branch });
  say({ kind: 'commit', id: await commit(branch, `on-${path}`, { path }), path: `on-${path}` });
  const merged = await merge(repository, { branch: 'main', source: branch, author: name });
  say({ kind: merged.kind === 'done' ? 'commit' : merged.kind, id: merged.commit });
  say({ kind: 'increment', id: await increment() });
}
await open.close();
home.close();
