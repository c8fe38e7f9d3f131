import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { throwIfAborted, unlessAborted } from '../../src/util/abort.js';

test('throwIfAborted throws only for a signal that fired', () => {
  throwIfAborted(undefined);
  throwIfAborted(new AbortController().signal);
  expect(() => throwIfAborted(AbortSignal.abort())).toThrow(
    expect.objectContaining({ kind: 'aborted' }) as Error,
  );
});

test('unlessAborted gives the outcome, or aborted as soon as the signal fires', async () => {
  const stop = new AbortController();
  expect(await unlessAborted(Promise.resolve(1))).toBe(1);
  expect(await unlessAborted(Promise.resolve(2), stop.signal)).toBe(2);
  await expect(unlessAborted(Promise.reject(new Error('no')), stop.signal)).rejects.toThrow('no');
  expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  const never = unlessAborted(new Promise<never>(() => undefined), stop.signal);
  stop.abort();
  await expect(never).rejects.toMatchObject({ kind: 'aborted' });
  await expect(
    unlessAborted(new Promise<never>(() => undefined), stop.signal),
  ).rejects.toMatchObject({ kind: 'aborted' });
});
