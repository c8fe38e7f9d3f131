import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ObjectInfo, ObjectStore, TaggedObject } from '../../src/store/object-store.js';
import { TarnError } from '../../src/util/errors.js';

export interface ObjectStoreSetup {
  readonly store: ObjectStore;
  teardown(): Promise<void>;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (found: Uint8Array): string => Buffer.from(found).toString();

async function faultOf(work: Promise<unknown>): Promise<TarnError> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(TarnError);
  return outcome as TarnError;
}

async function keysOf(listing: AsyncIterable<ObjectInfo>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of listing) keys.push(key);
  return keys;
}

/** What every ObjectStore promises. */
export function runObjectStoreSuite(name: string, setup: () => Promise<ObjectStoreSetup>): void {
  describe(`object store: ${name}`, () => {
    let store: ObjectStore;
    let teardown: () => Promise<void>;

    beforeEach(async () => {
      const made = await setup();
      store = made.store;
      teardown = () => made.teardown();
    });

    afterEach(async () => {
      await store.close();
      await teardown();
    });

    getAndPut(() => store);
    conditions(() => store);
    uploads(() => store);
    listing(() => store);
    keysAndSignals(() => store);
  });
}

function getAndPut(store: () => ObjectStore): void {
  test('gives back what was put, also nothing and every byte value', async () => {
    const all = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) & 0xff);
    const info = await store().put('a/all', all);
    await store().put('a/none', new Uint8Array(0));
    expect(info).toMatchObject({ key: 'a/all', size: all.length });
    expect(Buffer.compare(await store().get('a/all'), all)).toBe(0);
    expect((await store().get('a/none')).length).toBe(0);
    expect(await store().head('a/all')).toEqual(info);
  });

  test('what get returns is the reader’s own', async () => {
    await store().put('k', bytes('hello'));
    (await store().get('k')).fill(0);
    (await store().get('k', { range: { offset: 1, length: 2 } })).fill(0);
    expect(text(await store().get('k'))).toBe('hello');
  });

  test('what put was given may change afterwards', async () => {
    const given = Buffer.from('hello');
    await store().put('k', given);
    given.fill(0);
    expect(text(await store().get('k'))).toBe('hello');
  });

  test('gives a whole object with its etag, by which it can be replaced', async () => {
    const put = await store().put('refs/main', bytes('one'));
    const one = await store().getTagged('refs/main');
    expect(text(one?.bytes ?? bytes(''))).toBe('one');
    expect(one?.etag).toBe(put.etag);
    one?.bytes.fill(0);
    expect(text((await store().getTagged('refs/main'))?.bytes ?? bytes(''))).toBe('one');
    const replaced = await store().put('refs/main', bytes('two'), { ifMatch: put.etag });
    const two = await store().getTagged('refs/main');
    expect(text(two?.bytes ?? bytes(''))).toBe('two');
    expect(two?.etag).toBe(replaced.etag);
    await store().put('none', bytes(''));
    expect((await store().getTagged('none'))?.bytes).toHaveLength(0);
    await store().delete('refs/main');
    for (const key of ['refs/main', 'refs', 'refs/main/x', 'missing']) {
      expect(await store().getTagged(key)).toBeUndefined();
    }
  });

  test('no etag is given with bytes that are not its own, however often they are replaced', async () => {
    const size = 50_000;
    const letters = [...'abcdefghij'];
    const byEtag = new Map<string, string>();
    const write = async (): Promise<void> => {
      for (const letter of letters) {
        byEtag.set((await store().put('k', bytes(letter.repeat(size)))).etag, letter);
      }
    };
    await store().put('k', bytes('a'.repeat(size)));
    const writing = write();
    const seen: TaggedObject[] = [];
    for (let i = 0; i < 30; i += 1) {
      const found = await store().getTagged('k');
      if (found !== undefined) seen.push(found);
    }
    await writing;
    expect(seen).toHaveLength(30);
    for (const found of seen) {
      const whole = text(found.bytes);
      expect(whole).toBe((byEtag.get(found.etag) ?? 'a').repeat(size));
    }
  });

  test.each([
    { offset: 0, length: 4, expected: '0123' },
    { offset: 3, length: 1, expected: '3' },
    { offset: 6, length: 100, expected: '6789' },
    { offset: 10, length: 5, expected: '' },
    { offset: 50, length: 5, expected: '' },
    { offset: 2, length: 0, expected: '' },
    { offset: 0, length: Number.MAX_SAFE_INTEGER, expected: '0123456789' },
  ])('a range at $offset of $length bytes is cut at the end', async (range) => {
    await store().put('digits', bytes('0123456789'));
    expect(text(await store().get('digits', { range }))).toBe(range.expected);
  });

  test('bytes may come in room that is given for them, also where that is too small', async () => {
    await store().put('digits', bytes('0123456789'));
    for (const room of [16, 4, 3]) {
      const found = await store().get('digits', {
        range: { offset: 2, length: 4 },
        into: Buffer.alloc(room, 'x'),
      });
      expect(text(found)).toBe('2345');
    }
  });

  test('the last bytes are cut at the start; at once is the same where it is offered', async () => {
    await store().put('digits', bytes('0123456789'));
    for (const [last, expected] of [
      [3, '789'],
      [10, '0123456789'],
      [99, '0123456789'],
      [0, ''],
    ] as const) {
      expect(text(await store().get('digits', { range: { last } }))).toBe(expected);
      const now = store().getNow?.('digits', { last });
      if (now !== undefined) expect(text(now)).toBe(expected);
      const end = last === 0 ? undefined : await store().getEnd?.('digits', last);
      if (end !== undefined) expect([text(end.bytes), end.size]).toEqual([expected, 10]);
    }
    const now = store().getNow?.('digits', { offset: 8, length: 9 });
    if (now !== undefined) expect(text(now)).toBe('89');
  });

  test('a missing object is not-found, named; its head is undefined', async () => {
    await store().put('a/b', bytes('x'));
    for (const key of ['a/missing', 'a', 'a/b/c']) {
      const fault = await faultOf(store().get(key));
      expect(fault.kind).toBe('not-found');
      expect(fault.message).toContain(`'${key}'`);
      const ranged = await faultOf(store().get(key, { range: { offset: 0, length: 1 } }));
      expect(ranged.kind).toBe('not-found');
      expect(await store().head(key)).toBeUndefined();
    }
  });

  test('delete removes, again is no error, and the key can be put anew', async () => {
    await store().put('k', bytes('one'));
    expect(text(await store().get('k', { range: { offset: 0, length: 3 } }))).toBe('one');
    await store().delete('k');
    await store().delete('k');
    expect((await faultOf(store().get('k', { range: { offset: 0, length: 3 } }))).kind).toBe(
      'not-found',
    );
    await store().put('k', bytes('two'));
    expect(text(await store().get('k', { range: { offset: 0, length: 3 } }))).toBe('two');
  });
}

function conditions(store: () => ObjectStore): void {
  test('a plain put replaces, and its etag differs', async () => {
    const one = await store().put('k', bytes('one'));
    expect(text(await store().get('k', { range: { offset: 0, length: 3 } }))).toBe('one');
    const two = await store().put('k', bytes('two'));
    expect(two.etag).not.toBe(one.etag);
    expect(text(await store().get('k'))).toBe('two');
    expect(text(await store().get('k', { range: { offset: 0, length: 3 } }))).toBe('two');
  });

  test('ifNoneMatch puts only where nothing is', async () => {
    await store().put('k', bytes('one'), { ifNoneMatch: '*' });
    const fault = await faultOf(store().put('k', bytes('two'), { ifNoneMatch: '*' }));
    expect(fault.kind).toBe('conflict');
    expect(fault.message).toContain("'k'");
    expect(text(await store().get('k'))).toBe('one');
  });

  test('ifMatch puts only over the object it names', async () => {
    const one = await store().put('k', bytes('one'));
    const two = await store().put('k', bytes('two'), { ifMatch: one.etag });
    expect((await faultOf(store().put('k', bytes('xxx'), { ifMatch: one.etag }))).kind).toBe(
      'conflict',
    );
    expect(text(await store().get('k'))).toBe('two');
    await store().delete('k');
    expect((await faultOf(store().put('k', bytes('xxx'), { ifMatch: two.etag }))).kind).toBe(
      'conflict',
    );
    expect(await store().head('k')).toBeUndefined();
  });

  test('of many who put one key at once with ifNoneMatch exactly one does', async () => {
    const puts = Array.from({ length: 20 }, (_, i) =>
      store().put('k', bytes(`writer ${i}`), { ifNoneMatch: '*' }),
    );
    const outcomes = await Promise.allSettled(puts);
    const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
    expect(winners).toHaveLength(1);
    expect(text(await store().get('k'))).toBe(`writer ${winners[0]}`);
  });

  test('of many who replace one object at once with ifMatch exactly one does', async () => {
    const { etag } = await store().put('k', bytes('old'));
    const puts = Array.from({ length: 20 }, (_, i) =>
      store().put('k', bytes(`writer ${i}`), { ifMatch: etag }),
    );
    const outcomes = await Promise.allSettled(puts);
    const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
    expect(winners).toHaveLength(1);
    expect(text(await store().get('k'))).toBe(`writer ${winners[0]}`);
  });

  test('plain puts of one key at once leave one of them, whole', async () => {
    const values = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(10_000));
    await Promise.all(values.map((value) => store().put('k', bytes(value))));
    expect(values).toContain(text(await store().get('k')));
  });
}

function uploads(store: () => ObjectStore): void {
  test('an upload is there, whole, once it is finished', async () => {
    const upload = await store().upload();
    const first = Buffer.from('hello ');
    await upload.write(first);
    first.fill(0);
    await upload.write(bytes('world'));
    expect(await keysOf(store().list(''))).toEqual([]);
    const info = await upload.finish('files/ab/x');
    expect(info).toEqual({ ...(await store().head('files/ab/x')), created: true });
    expect(text(await store().get('files/ab/x'))).toBe('hello world');
  });

  test('writes that overlap land in the order of their calls', async () => {
    const upload = await store().upload();
    const parts = Array.from({ length: 50 }, (_, i) => bytes(`${i},`.repeat(1 + ((i * 7) % 5))));
    await Promise.all(parts.map((part) => upload.write(part)));
    await upload.finish('k');
    expect(text(await store().get('k'))).toBe(text(Buffer.concat(parts)));
  });

  test('an upload to a key that is taken keeps the object there', async () => {
    const kept = await store().put('k', bytes('first'));
    const upload = await store().upload();
    await upload.write(bytes('second'));
    expect(await upload.finish('k')).toEqual({ ...kept, created: false });
    expect(text(await store().get('k'))).toBe('first');
  });

  test('an upload that replaces takes the place of the object there', async () => {
    await store().put('k', bytes('first'));
    const upload = await store().upload();
    await upload.write(bytes('second'));
    expect(await upload.finish('k', { replace: true })).toMatchObject({ size: 6, created: true });
    expect(text(await store().get('k'))).toBe('second');
  });

  test('an aborted upload leaves nothing', async () => {
    const upload = await store().upload();
    await upload.write(bytes('hello'));
    await upload.abort();
    expect(await keysOf(store().list(''))).toEqual([]);
  });

  test('a signal ends an upload, which then leaves nothing', async () => {
    const stop = new AbortController();
    const upload = await store().upload(stop.signal);
    await upload.write(bytes('hello'));
    stop.abort();
    expect((await faultOf(upload.write(bytes('more')))).kind).toBe('aborted');
    expect((await faultOf(upload.finish('k'))).kind).toBe('aborted');
    expect(await keysOf(store().list(''))).toEqual([]);
  });
}

function listing(store: () => ObjectStore): void {
  // In byte order: '-' and '.' come before '/', '0' after it.
  const keys = ['a-b', 'a.b', 'a/b', 'a/b-c', 'a/b/c', 'a/c/d', 'a0', 'b', 'b/aa', 'b/ab'];
  // A directory cannot be a file's name as well; tarn never names objects so.
  const legal = keys.filter((key) => !keys.some((other) => other.startsWith(`${key}/`)));

  test('lists in byte order of keys, by prefix, after a key', async () => {
    for (const key of [...legal].reverse()) await store().put(key, bytes(key));
    expect(await keysOf(store().list(''))).toEqual(legal);
    const prefixes = ['', 'a', 'a/', 'a/b', 'a/b/', 'b/a', 'b/ab', 'c', 'a/x'];
    for (const prefix of prefixes) {
      for (const after of ['', 'a', 'a-b', 'a/', 'a/b/c', 'a/b0', 'a0', 'b/aa', 'zz']) {
        const expected = legal.filter((key) => key.startsWith(prefix) && key > after);
        expect(await keysOf(store().list(prefix, { after })), `${prefix} ${after}`).toEqual(
          expected,
        );
      }
    }
  });

  test('a listing tells sizes and etags as head does', async () => {
    await store().put('a/b', bytes('12345'));
    for await (const info of store().list('a/')) {
      expect(info).toEqual(await store().head('a/b'));
      expect(info.size).toBe(5);
    }
  });
}

function keysAndSignals(store: () => ObjectStore): void {
  const escapes = ['', '/etc/passwd', '../x', 'a/../x', 'a//b', 'a/', './a', 'a/.b', 'tmp/x'];
  test.each([...escapes, 'a\0b', 'ä', 'x'.repeat(600)])('refuses the key %j', async (key) => {
    const upload = await store().upload();
    const faults = [
      await faultOf(store().get(key)),
      await faultOf(store().getTagged(key)),
      await faultOf(store().put(key, bytes('x'))),
      await faultOf(store().head(key)),
      await faultOf(store().delete(key)),
      await faultOf(upload.finish(key)),
    ];
    for (const { kind } of faults) expect(kind).toBe('invalid');
    expect(await keysOf(store().list(''))).toEqual([]);
  });

  test('refuses a prefix that leads out of the namespace', async () => {
    for (const prefix of ['../', '/', 'a/../', 'a//']) {
      expect((await faultOf(keysOf(store().list(prefix)))).kind).toBe('invalid');
    }
  });

  test('a signal that fired ends every call as aborted, before it does anything', async () => {
    await store().put('k', bytes('x'));
    const signal = AbortSignal.abort();
    const range = { offset: 0, length: 1 };
    const faults = [
      await faultOf(store().get('k', { signal })),
      await faultOf(store().get('k', { signal, range })),
      await faultOf(store().getTagged('k', signal)),
      await faultOf(store().put('new', bytes('x'), { signal })),
      await faultOf(store().upload(signal)),
      await faultOf(store().head('k', signal)),
      await faultOf(store().delete('k', signal)),
      await faultOf(keysOf(store().list('', { signal }))),
    ];
    for (const { kind } of faults) expect(kind).toBe('aborted');
    expect(await keysOf(store().list(''))).toEqual(['k']);
  });
}
