import fc from 'fast-check';
import { expect, it } from 'vitest';
import { key } from '../../workspace/sandbox.js';
import { Live } from './live.js';

const PATHS = ['a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/b', 'f', 'f/a', 'f/e'];

const path = fc.constantFrom(...PATHS);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant('write'), path, fc.constantFrom('x', 'yy', 'zzz')) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('mkdir'), path) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('unlink'), path) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('rename'), path, path) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('exchange'), path, path) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('link'), path, path) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('symlink'), path) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('chmod'), path, fc.constantFrom(0o600, 0o755)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('stage')) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('commit')) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('restart')) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('others'), fc.constantFrom('o', 'p/q')) },
);
type Step = [string, ...unknown[]];

async function apply(live: Live, [kind, ...args]: Step): Promise<void> {
  const [from, to] = args as [string, string];
  switch (kind) {
    case 'write':
      return void (await live.write(from, to));
    case 'mkdir':
      return void (await live.mkdir(from));
    case 'unlink':
      return void (await live.unlink(from));
    case 'rename':
      return void (await live.rename(from, to));
    case 'exchange':
      return void (await live.rename(from, to, 'exchange'));
    case 'link':
      return void (await live.link(from, to));
    case 'symlink':
      return void (await live.symlink(from, 'target'));
    case 'chmod':
      return void (await live.chmod(from, args[1] as number));
    case 'restart':
      await live.stop();
      return live.start();
    case 'others':
      return othersCommit(live, from);
    case 'commit':
      return commit(live);
    default:
      return stage(live);
  }
}

/** What mounts show is what is staged then, and stays so. */
async function stage(live: Live): Promise<void> {
  const [before, inodes] = [await live.tree(), await live.inodes()];
  const kept = await live.live.stage({ takesOpen: true });
  expect(kept).toEqual([]);
  expect(await live.tree()).toEqual(before);
  expect(await live.staged()).toEqual(before);
  expect(await live.inodes()).toEqual(inodes);
  expect(live.live.overlay.isEmpty).toBe(true);
}

async function commit(live: Live): Promise<void> {
  await stage(live);
  const before = await live.tree();
  await live.workspace.commit({ message: 'm', author: 'rosa' }).catch((error: unknown) => {
    expect(error).toMatchObject({ kind: 'nothing-to-commit' });
  });
  await live.live.refresh();
  expect(await live.tree()).toEqual(before);
}

async function othersCommit(live: Live, name: string): Promise<void> {
  const before = await live.tree();
  const target = 'theirs';
  const entry = { kind: 'symlink', target, mode: 0o777, mtimeSec: 1, mtimeNsec: 0 } as const;
  await live.others.stage([{ key: key(name), entry }]);
  await live.others.commit({ message: 'm', author: 'ada' }).catch(() => undefined);
  await live.live.refresh();
  const parent = name.includes('/') ? { 'p/': 'directory' } : {};
  expect(await live.tree()).toEqual({ ...before, ...parent, [name]: '-> theirs' });
}

it('stages what programs did, whatever that was, and mounts go on showing it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 24 }), async (steps) => {
      const live = await Live.make();
      try {
        for (const each of steps) await apply(live, each as Step);
        await stage(live);
      } finally {
        await live.remove();
      }
    }),
    { numRuns: 60, seed: 20_250_614 },
  );
}, 120_000);
