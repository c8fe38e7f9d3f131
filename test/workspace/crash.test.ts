import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CommitId } from '../../src/model/ids.js';
import type { Fault } from '../../src/repo/fsck/findings.js';
import { walkHistory } from '../../src/repo/log.js';
import type { View } from '../../src/repo/view.js';
import type { FaultPoint } from '../../src/util/fault-point.js';
import type { Workspace } from '../../src/workspace/workspace.js';
import { ensureBuilt } from './built.js';
import { all, key, Sandbox } from './sandbox.js';

/**
 * Whatever the moment at which a process is killed with -9:
 *  - the branch is at its old commit or at the new one, and all that commit names can be read;
 *  - every staged entry refers to bytes that are there;
 *  - what was staged is staged still, or is in the commit;
 *  - fsck finds nothing wrong;
 *  - doing it again completes it.
 */
const CHILD = fileURLToPath(new URL('crash-child.mjs', import.meta.url));
const FILES = 300;
/** More than are kept as rows. */
const MANY = 2_500;

let sandbox: Sandbox;
let source: string;

beforeAll(ensureBuilt);
beforeEach(async () => {
  sandbox = await Sandbox.make();
  source = join(sandbox.directory, 'source');
  for (let i = 0; i < FILES; i += 1) {
    mkdirSync(join(source, `run-${i % 6}`), { recursive: true });
    writeFileSync(nameOf(i), randomBytes(i % 100 === 0 ? 1_500_000 : 3_000 + i));
  }
});
afterEach(() => sandbox.remove());

const nameOf = (i: number): string => join(source, `run-${i % 6}`, `frame-${i}.bin`);

const INPUTS = {
  put: () => ({ sources: [source], prefix: 'raw', recursive: true }),
  commit: () => ({ message: 'freeze' }),
  merge: () => ({ source: 'labels', preferences: [] }),
};
type Work = keyof typeof INPUTS;

interface Killed {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
}

/** @param stop a fault point, or milliseconds after which the process is killed from outside */
async function runChild(work: Work, stop?: string | number): Promise<Killed> {
  const input = { ...sandbox.target, author: 'rosa', ...INPUTS[work]() };
  const env = { ...process.env, ...(typeof stop === 'string' ? { TARN_FAULT_POINT: stop } : {}) };
  const child = spawn(process.execPath, [CHILD, work, sandbox.home.path, JSON.stringify(input)], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  await once(child.stdout, 'data');
  const killer = typeof stop === 'number' ? setTimeout(() => child.kill('SIGKILL'), stop) : null;
  const [code, signal] = await ended;
  if (killer !== null) clearTimeout(killer);
  return { code, signal };
}

/** Reads every file of the view to its last byte; resolves to their paths. */
async function readAll(view: View): Promise<Set<string>> {
  const seen = new Set<string>();
  const cursor = view.cursor();
  for (let ok = await cursor.seek(key('')); ok; ok = await cursor.next()) {
    const content = await view.open(cursor.key, cursor.entry());
    const bytes = Buffer.from(await content.read(0, content.size));
    content.close();
    const original = readFileSync(join(source, cursor.key.slice('raw/'.length)));
    if (!bytes.equals(original)) throw new Error(`${cursor.key} holds other bytes`);
    seen.add(cursor.key);
  }
  return seen;
}

/** Checks the promises; resolves to where the branch is and what the workspace shows. */
async function look(): Promise<{ head: CommitId; committed: number; seen: number; left: number }> {
  const faults: Fault[] = [];
  await sandbox.threads.run(
    'fsck',
    { repository: 'drive', fast: false },
    { onRows: async (rows) => void faults.push(...rows) },
  );
  expect(faults).toEqual([]);
  const workspace = await sandbox.workspace();
  const repository = await sandbox.repository();
  const { commitId } = await repository.resolve('main@');
  const committed = await readAll(await repository.commitView('main@', commitId));
  const seen = await readAll(await workspace.view());
  const left = (await all(workspace.changes())).length;
  return { head: commitId, committed: committed.size, seen: seen.size, left };
}

const PUT_POINTS: FaultPoint[] = ['put-content-stored', 'put-rows-staged'];
const COMMIT_POINTS: [FaultPoint, 'old' | 'new'][] = [
  ['commit-start', 'old'],
  ['commit-prepared', 'old'],
  ['commit-saved', 'old'],
  ['commit-ref-moved', 'new'],
  ['commit-staging-cleared', 'new'],
];

describe('a put that is killed', () => {
  it.each(PUT_POINTS.flatMap((point) => [point, `${point}:2`]))('at %s', async (point) => {
    expect(await runChild('put', point)).toMatchObject({ signal: 'SIGKILL' });
    const after = await look();
    expect(after.committed).toBe(0);
    if (point === 'put-content-stored') expect(after.seen).toBe(0);
    expect(await runChild('put')).toMatchObject({ code: 0 });
    expect((await look()).seen).toBe(FILES);
  });

  it('at any time', async () => {
    for (let delay = 40; delay <= 400; delay += 60) {
      await runChild('put', delay);
      expect((await look()).committed).toBe(0);
    }
    expect(await runChild('put')).toMatchObject({ code: 0 });
    expect((await look()).seen).toBe(FILES);
  });
});

describe('a put of so many files that they are folded', () => {
  it('loses none that were put before when it is killed in between', async () => {
    expect(await runChild('put')).toMatchObject({ code: 0 });
    for (let i = FILES; i < MANY; i += 1) writeFileSync(nameOf(i), `${i}`);
    expect(await runChild('put', 'staging-folded')).toMatchObject({ signal: 'SIGKILL' });
    expect(await look()).toMatchObject({ seen: FILES, left: FILES, committed: 0 });
    expect(await runChild('put')).toMatchObject({ code: 0 });
    expect(await look()).toMatchObject({ seen: MANY, left: MANY, committed: 0 });
    expect(await runChild('commit')).toMatchObject({ code: 0 });
    expect(await look()).toMatchObject({ seen: MANY, left: 0, committed: MANY });
  });
});

describe('a commit that is killed', () => {
  beforeEach(async () => {
    expect(await runChild('put')).toMatchObject({ code: 0 });
  });

  it.each(COMMIT_POINTS)('at %s leaves the %s head', async (point, which) => {
    const before = await look();
    expect(await runChild('commit', point)).toMatchObject({ signal: 'SIGKILL' });
    const after = await look();
    expect(after.seen).toBe(FILES);
    expect(after.committed).toBe(which === 'new' ? FILES : 0);
    expect(after.left).toBe(which === 'new' ? 0 : FILES);
    expect(after.head === before.head).toBe(which === 'old');
    const again = await runChild('commit');
    expect(again.code).toBe(which === 'old' ? 0 : 1);
    const done = await look();
    expect(done).toMatchObject({ committed: FILES, seen: FILES, left: 0 });
    const repository = await sandbox.repository();
    expect(await all(walkHistory(done.head, (id) => repository.readCommit(id)))).toHaveLength(2);
  });

  it('at any time', async () => {
    for (let delay = 20; delay <= 160; delay += 20) {
      await runChild('commit', delay);
      const after = await look();
      expect(after.seen).toBe(FILES);
      expect([0, FILES]).toContain(after.committed);
      expect(after.left).toBe(FILES - after.committed);
    }
    await runChild('commit');
    expect(await look()).toMatchObject({ committed: FILES, left: 0 });
  });
});

describe('a merge that is killed', () => {
  beforeEach(async () => {
    expect(await runChild('put')).toMatchObject({ code: 0 });
    expect(await runChild('commit')).toMatchObject({ code: 0 });
    const repository = await sandbox.repository();
    const { commitId } = await repository.resolve('main@');
    await repository.createRef('branch', 'labels', commitId, 'rosa');
    for (const branch of ['main', 'labels']) {
      const workspace = await sandbox.workspace(branch);
      const prefix = key(branch === 'main' ? 'raw/run-0/' : 'raw/run-1/');
      await workspace.removePrefix(prefix);
      await workspace.commit({ message: `remove ${prefix}`, author: 'rosa' });
    }
  });

  const LEFT = { main: (FILES * 5) / 6, merged: (FILES * 4) / 6 };

  it.each(COMMIT_POINTS)('at %s leaves the %s head', async (point, which) => {
    expect(await runChild('merge', point)).toMatchObject({ signal: 'SIGKILL' });
    expect((await look()).committed).toBe(which === 'new' ? LEFT.merged : LEFT.main);
    expect(await runChild('merge')).toMatchObject({ code: 0 });
    expect((await look()).committed).toBe(LEFT.merged);
  });

  it('at any time', async () => {
    for (let delay = 10; delay <= 90; delay += 20) {
      await runChild('merge', delay);
      expect([LEFT.main, LEFT.merged]).toContain((await look()).committed);
    }
    expect(await runChild('merge')).toMatchObject({ code: 0 });
    expect((await look()).committed).toBe(LEFT.merged);
  });
});

describe('several processes that commit to one branch', () => {
  it('each have their commit in its history exactly once', async () => {
    const homes = [sandbox.home, sandbox.anotherHome(), sandbox.anotherHome()];
    const each = 4;
    const rounds = homes.map(async (home, h) => {
      const made: string[] = [];
      for (let i = 0; i < each; i += 1) {
        const file = join(sandbox.directory, `from-${h}-${i}`);
        writeFileSync(file, `${h} ${i}`);
        const { target } = sandbox;
        const put = { ...target, sources: [file], prefix: `by-${h}/${i}`, recursive: false };
        await outputOf('put', home.path, put);
        const commit = { ...target, message: `${h} ${i}`, author: `h${h}` };
        made.push(await outputOf('commit', home.path, commit));
      }
      return made;
    });
    const made = (await Promise.all(rounds)).flat();
    const repository = await sandbox.repository();
    const { commitId } = await repository.resolve('main@');
    const logged = (await all(walkHistory(commitId, (id) => repository.readCommit(id)))).map(
      ({ id }) => id as string,
    );
    expect(logged.slice(0, -1).sort()).toEqual(made.sort());
    const view = await repository.commitView('main@', commitId);
    expect(await view.totals(key(''))).toMatchObject({ entries: homes.length * each });
    for (const [h, home] of homes.entries()) {
      const workspace: Workspace = await sandbox.workspace('main', home);
      expect(await all(workspace.changes()), `left staged by ${h}`).toEqual([]);
    }
  });
});

/** The last line that the child prints; fails unless it ends well. */
async function outputOf(work: 'put' | 'commit', home: string, input: object): Promise<string> {
  const child = spawn(process.execPath, [CHILD, work, home, JSON.stringify(input)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code).toBe(0);
  return text.trim().split('\n').at(-1) ?? '';
}
