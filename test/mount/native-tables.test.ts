import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errnoName, errnoNumber, errnoOf } from '../../src/mount/errno.js';
import { parseMountInfo } from '../../src/util/mount-info.js';
import { Handles } from '../../src/mount/native/handles.js';
import { Interrupts } from '../../src/mount/native/interrupts.js';
import { TarnError } from '../../src/util/errors.js';
import { program } from './native-child.js';

describe('the mount table', () => {
  it('is read with its escapes and optional fields', () => {
    const table = Buffer.from(
      [
        '22 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/root rw',
        '40 22 0:39 / /mnt/two\\040words\\134x ro,nosuid - fuse.tarn tarn://drive/ab ro,user_id=0',
        '41 22 0:40 / /mnt/straße ro - fuse.tarn tarn://drive/cd ro',
        'nonsense',
        '',
      ].join('\n'),
    ).toString('latin1');
    expect(parseMountInfo(table)).toEqual([
      { device: '254:0', directory: '/', type: 'ext4', source: '/dev/root' },
      {
        device: '0:39',
        directory: '/mnt/two words\\x',
        type: 'fuse.tarn',
        source: 'tarn://drive/ab',
      },
      { device: '0:40', directory: '/mnt/straße', type: 'fuse.tarn', source: 'tarn://drive/cd' },
    ]);
  });
});

describe('the errno table', () => {
  it('has the numbers of Linux', () => {
    expect([errnoNumber('ENOENT'), errnoNumber('EROFS'), errnoNumber('ENODATA')]).toEqual([
      2, 30, 61,
    ]);
    expect([errnoName(11), errnoName(95), errnoName(4000)]).toEqual([
      'EAGAIN',
      'ENOTSUP',
      'errno 4000',
    ]);
  });

  it('shows corrupt bytes as an I/O error and a stopped call as an interrupt', () => {
    expect(errnoOf(new TarnError('corrupt', 'x'))).toBe('EIO');
    expect(errnoOf(new TarnError('aborted', 'x'))).toBe('EINTR');
  });
});

describe('handles', () => {
  it('are released once, after the last call on them has settled', async () => {
    const released: number[] = [];
    const handles = new Handles((handle) => released.push(handle));
    let finish: () => void = () => undefined;
    const call = new Promise<void>((resolve) => (finish = resolve));
    handles.open(1);
    handles.open(2);
    handles.hold(1, call);
    handles.close(1);
    handles.close(1);
    handles.closeAll();
    expect(released).toEqual([2]);
    finish();
    await call;
    expect(released).toEqual([2, 1]);
  });
});

describe('interrupts', () => {
  it('that come before their request end it when it comes', () => {
    const interrupts = new Interrupts();
    let ended = 0;
    interrupts.interrupt(4);
    interrupts.add(4, 0, () => ended++);
    expect(ended).toBe(1);
    expect(interrupts.settled(4)).toBe(false);
  });

  it('of answered requests are let go', () => {
    const interrupts = new Interrupts();
    let ended = 0;
    interrupts.add(2, 0, () => ended++);
    expect(interrupts.settled(2)).toBe(true);
    for (let unique = 2; unique < 4000; unique += 2) interrupts.interrupt(unique);
    interrupts.endAll();
    expect(ended).toBe(0);
  });

  it('leave a request alone whose program lives on', () => {
    const interrupts = new Interrupts();
    let ended = 0;
    interrupts.add(6, process.pid, () => ended++);
    interrupts.interrupt(6);
    expect(ended).toBe(0);
    interrupts.endAll();
    expect(ended).toBe(1);
  });
});

describe('a build without the addon', () => {
  let copy: string;
  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), 'tarn-unbuilt-'));
    await cp(fileURLToPath(new URL('../../dist', import.meta.url)), join(copy, 'dist'), {
      recursive: true,
    });
    await writeFile(join(copy, 'package.json'), '{"type":"module"}');
  });
  afterAll(() => rm(copy, { recursive: true }));

  it('says how to get it', async () => {
    const module = pathToFileURL(join(copy, 'dist/mount/native/driver.js')).href;
    const code = `import { NativeDriver } from '${module}';
console.log(await new NativeDriver().unavailable());`;
    const why = await program('node', '--input-type=module', '-e', code);
    expect(why).toContain('is not built');
    expect(why).toContain('npm run build:native');
  });
});
