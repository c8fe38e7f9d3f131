import { expect, it } from 'vitest';
import { base64 } from './caller.js';
import { LOG, type Stage } from './stage.js';

/** What a file holds: new ones, and large ones that were there before and are changed a little. */
export function describeBytes(stage: Stage): void {
  describeWriting(stage);
  describeChanging(stage);
  describeMaps(stage);
}

function describeWriting(stage: Stage): void {
  it('gives back what was written, at any offset and length', async () => {
    const { one, two } = stage;
    await one.call('open', 'w', 'written', 'O_RDWR|O_CREAT');
    const expected = Buffer.alloc(3_000_000);
    let end = 0;
    const offsets = [0, 1, 4095, 4096, 4097, 131_071, 1_048_576, 1_048_577, 2_900_000, 5];
    for (const [at, offset] of offsets.entries()) {
      for (const length of [1, 4096, 70_001]) {
        const bytes = Buffer.alloc(length, `${at}:${length},`);
        expect(await one.call('pwrite', 'w', offset, base64(bytes))).toBe(length);
        bytes.copy(expected, offset);
        end = Math.max(end, offset + length);
      }
    }
    await two.call('open', 'r', 'written', 'O_RDONLY');
    for (const reader of [two.bytes('r', 0, end + 100), one.bytes('w', 0, end + 100)]) {
      expect((await reader).equals(expected.subarray(0, end))).toBe(true);
    }
    await Promise.all([one.call('close', 'w'), two.call('close', 'r')]);
  });

  it('appends to the end, whoever moved it', async () => {
    const { one, two } = stage;
    for (const each of [one, two]) {
      await each.call('open', 'a', 'appended.csv', 'O_WRONLY|O_CREAT|O_APPEND');
    }
    for (let round = 0; round < 50; round += 1) {
      await Promise.all([
        one.call('write', 'a', base64(`one,${round}\n`)),
        two.call('write', 'a', base64(`two,${round}\n`)),
      ]);
    }
    const lines = (await two.text('appended.csv')).split('\n').slice(0, -1);
    for (const who of ['one', 'two']) {
      const own = lines.filter((line) => line.startsWith(who));
      expect(own).toEqual(Array.from({ length: 50 }, (_, round) => `${who},${round}`));
    }
    expect(lines).toHaveLength(100);
    await Promise.all([one.call('closeall'), two.call('closeall')]);
  });

  it('cuts, lengthens with zeros, and empties with O_TRUNC', async () => {
    const { one, two } = stage;
    await one.put('lengths', 'abcdefgh');
    await one.call('truncate', 'lengths', 3);
    expect(await two.text('lengths')).toBe('abc');
    await one.call('truncate', 'lengths', 6);
    expect(await two.text('lengths')).toBe('abc\0\0\0');
    await one.call('open', 'f', 'lengths', 'O_RDWR');
    await one.call('ftruncate', 'f', 10_000);
    expect((await two.attributes('lengths')).size).toBe(10_000);
    await one.call('pwrite', 'f', 20_000, base64('end'));
    const read = await one.bytes('f', 0, 30_000);
    expect(read.length).toBe(20_003);
    expect(read.subarray(3, 20_000).every((byte) => byte === 0)).toBe(true);
    await one.call('close', 'f');
    await one.call('open', 'f', 'lengths', 'O_WRONLY|O_TRUNC');
    expect((await two.attributes('lengths')).size).toBe(0);
    await one.call('close', 'f');
    expect(await one.errno('truncate', 'labels', 0)).toBe('EISDIR');
  });

  it('refuses to write what was opened for reading, and the other way', async () => {
    const { one } = stage;
    await one.put('modes', 'x');
    await one.call('open', 'r', 'modes', 'O_RDONLY');
    await one.call('open', 'w', 'modes', 'O_WRONLY');
    expect(await one.errno('pwrite', 'r', 0, base64('y'))).toBe('EBADF');
    expect(await one.errno('pread', 'w', 0, 1)).toBe('EBADF');
    expect(await one.errno('open', 'd', 'labels', 'O_WRONLY')).toBe('EISDIR');
    await one.call('closeall');
  });

  it('syncs files and directories', async () => {
    const { one } = stage;
    await one.call('open', 'f', 'synced', 'O_RDWR|O_CREAT|O_SYNC');
    await one.call('write', 'f', base64('durable'));
    await one.call('fsync', 'f');
    await one.call('fdatasync', 'f');
    await one.call('open', 'd', '', 'O_RDONLY|O_DIRECTORY');
    await one.call('fsync', 'd');
    await one.call('closeall');
    expect(await one.text('synced')).toBe('durable');
  });
}

function describeChanging(stage: Stage): void {
  const sameAs = async (path: string, expected: Buffer): Promise<void> => {
    for (const each of [stage.one, stage.two]) {
      await each.call('open', 'check', path, 'O_RDONLY');
      const seen = await each.bytes('check', 0, expected.length + 10);
      await each.call('close', 'check');
      expect(seen.length, path).toBe(expected.length);
      expect(seen.equals(expected), path).toBe(true);
    }
  };

  it('changes bytes within a file that was there before, and shows the others as they were', async () => {
    const { one, two } = stage;
    const path = 'logs/patched.mcap';
    const expected = Buffer.from(LOG);
    await two.call('open', 'reader', path, 'O_RDONLY');
    await two.bytes('reader', 0, 1_000_000);
    await one.call('open', 'f', path, 'O_RDWR');
    for (const [offset, length] of [
      [0, 8],
      [4095, 2],
      [8192, 4096],
      [1_048_570, 100],
      [3_000_001, 200_000],
      [LOG.length - 3, 3],
    ] as const) {
      const bytes = Buffer.alloc(length, '#');
      await one.call('pwrite', 'f', offset, base64(bytes));
      bytes.copy(expected, offset);
      const start = Math.max(0, offset - 10);
      const around = await two.bytes('reader', start, length + 20);
      expect(around.equals(expected.subarray(start, start + length + 20)), `${offset}`).toBe(true);
    }
    await sameAs(path, expected);
    await one.call('close', 'f');
    await two.call('close', 'reader');
    await sameAs(path, expected);
  });

  it('appends to a file that was there before', async () => {
    const { one } = stage;
    const path = 'logs/appended.mcap';
    await one.call('open', 'f', path, 'O_WRONLY|O_APPEND');
    await one.call('write', 'f', base64('tail'));
    await one.call('write', 'f', base64(Buffer.alloc(9000, 't')));
    await one.call('close', 'f');
    await sameAs(path, Buffer.concat([LOG, Buffer.from('tail'), Buffer.alloc(9000, 't')]));
  });

  it('cuts a file that was there before, and what comes after the cut is zeros', async () => {
    const { one } = stage;
    const path = 'logs/cut.mcap';
    await one.call('truncate', path, 2_000_001);
    await sameAs(path, Buffer.from(LOG.subarray(0, 2_000_001)));
    await one.call('truncate', path, 3_000_000);
    const expected = Buffer.alloc(3_000_000);
    expected.set(LOG.subarray(0, 2_000_001));
    await sameAs(path, expected);
    await one.call('open', 'f', path, 'O_RDWR');
    await one.call('pwrite', 'f', 2_500_000, base64('mark'));
    expected.write('mark', 2_500_000);
    await sameAs(path, expected);
    await one.call('ftruncate', 'f', 0);
    await one.call('close', 'f');
    await sameAs(path, Buffer.alloc(0));
  });

  it('lengthens a file that was there before', async () => {
    const { one } = stage;
    const path = 'logs/grown.mcap';
    await one.call('truncate', path, 6_000_000);
    await one.call('open', 'f', path, 'O_RDWR');
    await one.call('pwrite', 'f', 7_000_000, base64('end'));
    await one.call('close', 'f');
    const expected = Buffer.alloc(7_000_003);
    expected.set(LOG);
    expected.write('end', 7_000_000);
    await sameAs(path, expected);
  });
}

function describeMaps(stage: Stage): void {
  it.skipIf(stage.lacks.writtenMaps)('shares a written map of a new file', async () => {
    const { one, two } = stage;
    await one.call('open', 'f', 'map.npy', 'O_RDWR|O_CREAT');
    await one.call('ftruncate', 'f', 100_000);
    await two.call('open', 'f', 'map.npy', 'O_RDWR');
    for (const each of [one, two]) await each.call('map', 'm', 'f', 100_000);
    await one.call('mapwrite', 'm', 50_000, base64('by one'));
    await two.call('mapwrite', 'm', 99_990, base64('by two'));
    const read = async (offset: number): Promise<string> =>
      Buffer.from(await one.call<string>('mapread', 'm', offset, 6), 'base64').toString();
    expect([await read(50_000), await read(99_990)]).toEqual(['by one', 'by two']);
    expect((await two.bytes('f', 50_000, 6)).toString()).toBe('by one');
    await one.call('pwrite', 'f', 10, base64('plain'));
    const seen = await two.call<string>('mapread', 'm', 10, 5);
    expect(Buffer.from(seen, 'base64').toString()).toBe('plain');
    await one.call('mapsync', 'm');
    await Promise.all([one, two].map((each) => each.call('closeall')));
    await one.call('open', 'f', 'map.npy', 'O_RDONLY');
    expect((await one.bytes('f', 99_990, 6)).toString()).toBe('by two');
    await one.call('closeall');
  });

  it.skipIf(stage.lacks.writtenMaps)(
    'writes through a map of a file that was there before',
    async () => {
      const { one, two } = stage;
      const path = 'logs/mapped.mcap';
      const expected = Buffer.from(LOG);
      await one.call('open', 'f', path, 'O_RDWR');
      await one.call('map', 'm', 'f', LOG.length);
      for (const offset of [0, 4094, 1_048_575, LOG.length - 4]) {
        await one.call('mapwrite', 'm', offset, base64('!map'));
        expected.write('!map', offset);
      }
      await one.call('closeall');
      await two.call('open', 'f', path, 'O_RDONLY');
      expect((await two.bytes('f', 0, LOG.length)).equals(expected)).toBe(true);
      await two.call('closeall');
    },
  );
}
