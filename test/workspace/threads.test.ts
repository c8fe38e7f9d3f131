import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Repository } from '../../src/repo/repository.js';
import { TarnError } from '../../src/util/errors.js';
import type { WorkspaceJobs } from '../../src/workspace/jobs/registry.js';
import { JobThreads, WORKSPACE_JOBS } from '../../src/workspace/jobs/threads.js';
import { ensureBuilt } from './built.js';
import { Sandbox } from './sandbox.js';

const SCRIPT = fileURLToPath(new URL('thread-fixture.mjs', import.meta.url));

interface Options {
  readonly onRows?: (rows: readonly number[]) => Promise<void> | void;
  readonly onProgress?: () => void;
  readonly signal?: AbortSignal;
}

describe('job threads', () => {
  let sandbox: Sandbox;
  let threads: JobThreads<WorkspaceJobs>;
  beforeAll(ensureBuilt);
  beforeEach(async () => {
    sandbox = await Sandbox.make();
    threads = new JobThreads(sandbox.home.path, { ...WORKSPACE_JOBS, script: SCRIPT });
  });
  afterEach(async () => {
    await threads.close();
    await sandbox.remove();
  });

  /** Runs a job of the fixture, in the place of a short one or of one that may be long. */
  function run(job: string, input: object = {}, options: Options = {}, as = 'commit') {
    const all = { repository: 'drive', job, ...input };
    return threads.run(as as 'commit', all as never, options) as Promise<unknown>;
  }

  /** Runs `wait` and resolves once it does, to what ends it. */
  async function startWaiting(as?: string) {
    const controller = new AbortController();
    let ended = Promise.resolve<unknown>(undefined);
    await new Promise<void>((resolve, reject) => {
      const options = { signal: controller.signal, onProgress: () => resolve() };
      ended = run('wait', {}, options, as);
      ended.catch(reject);
    });
    const stop = async (): Promise<void> => {
      controller.abort();
      await expect(ended).rejects.toMatchObject({ kind: 'aborted' });
    };
    return { stop };
  }

  it('stay for the next job, and give it results and errors as they are', async () => {
    const first = await run('thread');
    expect(await run('thread')).toBe(first);
    await expect(run('fail')).rejects.toMatchObject({
      kind: 'nothing-to-commit',
      message: 'nothing is staged',
      hint: 'stage something',
    });
    await expect(run('break')).rejects.toMatchObject({
      kind: 'internal',
      stack: expect.stringContaining('thread-fixture') as string,
    });
    expect(await run('thread')).toBe(first);
    await expect(run('head', { repository: 'nope' })).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('hand rows over in order, and make no more of them than the reader takes', async () => {
    const seen: number[] = [];
    let made = 0;
    const count = await run(
      'rows',
      { count: 50, size: 3 },
      {
        onProgress: () => (made += 1),
        onRows: async (rows) => {
          expect(made - seen.length / 3).toBeLessThanOrEqual(3);
          await new Promise((resolve) => setImmediate(resolve));
          seen.push(...rows);
        },
      },
    );
    expect(count).toBe(150);
    expect(seen).toEqual(Array.from({ length: 150 }, (_, i) => i));
  });

  it('end a job whose rows nobody can take, with that error', async () => {
    const fault = new TarnError('io', 'the reader left');
    let batches = 0;
    const rows = run(
      'rows',
      { count: 1_000_000, size: 3 },
      {
        onRows: () => {
          batches += 1;
          if (batches === 5) throw fault;
        },
      },
    );
    await expect(rows).rejects.toBe(fault);
    expect(batches).toBe(5);
    expect(await run('rows', { count: 4, size: 1 })).toBe(4);
  });

  it.each(['die', 'exit'])('that %s are replaced', async (way) => {
    const first = await run('thread');
    await expect(run(way)).rejects.toMatchObject({ kind: 'internal' });
    const next = await run('thread');
    expect(next).not.toBe(first);
    expect(threads.jobs()).toEqual([]);
  });

  it('stop what is aborted, also before its turn', async () => {
    await expect(run('thread', {}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      kind: 'aborted',
    });
    const waiting = await Promise.all([1, 2, 3].map(() => startWaiting()));
    const controller = new AbortController();
    const late = run('thread', {}, { signal: controller.signal });
    expect(threads.jobs()).toHaveLength(4);
    controller.abort();
    await expect(late).rejects.toMatchObject({ kind: 'aborted' });
    const next = run('thread');
    await waiting[1]?.stop();
    expect(await next).toEqual(expect.any(Number));
    await waiting[0]?.stop();
    await waiting[2]?.stop();
    expect(threads.jobs()).toEqual([]);
  });

  it('leave one to short jobs, however many long ones wait', async () => {
    const long = await Promise.all([1, 2].map(() => startWaiting('put')));
    const third = run('thread', {}, {}, 'put');
    expect(await run('thread')).toEqual(expect.any(Number));
    expect(threads.jobs().map(({ name }) => name)).toEqual(['put', 'put', 'put']);
    await long[0]?.stop();
    expect(await third).toEqual(expect.any(Number));
    await long[1]?.stop();
  });

  it('close a repository that goes away, and open the next of its name anew', async () => {
    const before = await run('head');
    const waiting = await startWaiting();
    const replace = (): Promise<void> =>
      threads.exclusively('drive', async () => {
        rmSync(sandbox.storage, { recursive: true });
        await (await Repository.create('drive', sandbox.storage, 'rosa')).close();
      });
    await expect(replace()).rejects.toMatchObject({ kind: 'busy' });
    await waiting.stop();
    const replaced = replace();
    const after = run('head');
    await replaced;
    expect(await after).not.toBe(before);
  });

  it('do exclusive things one after the other', async () => {
    const order: string[] = [];
    await run('head');
    const once = (name: string): Promise<void> =>
      threads.exclusively('drive', async () => {
        order.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`${name} ends`);
      });
    await Promise.all([once('a'), once('b'), once('c')]);
    expect(order).toEqual(['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]));
  });
});
