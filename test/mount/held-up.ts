import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { Caller } from '../suites/writable/caller.js';
import type { NativeChild } from './native-child.js';

/** A program makes a name and is never answered, and a notice waits for its directory. */
export async function holdUp(
  child: NativeChild,
  one: Caller,
): Promise<{ stuck: Promise<unknown> }> {
  await one.call('list', 'labels');
  const { create = 0 } = (await child.counts()).calls;
  const stuck = one.outcome('open', 'a', 'labels/stuck', 'O_WRONLY|O_CREAT').catch(() => undefined);
  await child.until((counts) => (counts.calls['create'] ?? 0) > create);
  await child.call('changeElsewhere', { path: 'labels/8422.json', bytes: 'x' });
  await expect.poll(() => notifierWaits(child.pid)).toBe(true);
  return { stuck };
}

/** The thread that tells the kernel is in the kernel, waiting for a lock. */
async function notifierWaits(pid: number): Promise<boolean> {
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const status = await readFile(`/proc/${pid}/task/${task}/stat`, 'latin1');
    if (status.includes('(tarn-notify) D')) return true;
  }
  return false;
}
