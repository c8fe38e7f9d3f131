import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { removeDeadMount } from '../../src/mount/mounts.js';
import { NativeDriver } from '../../src/mount/native/driver.js';
import type { FileSpec } from '../suites/filesystem-files.js';
import { patterned } from '../suites/filesystem-files.js';
import { base64, Caller } from '../suites/writable/caller.js';
import { holdUp } from './held-up.js';
import { NativeChild, type ChildOptions } from './native-child.js';

const missing = await new NativeDriver().unavailable();
const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
const SET_UID = 0o4000;

/** Long enough that it is not copied whole when a byte of it is changed. */
const LOG = patterned(2 * 1_048_576 + 1234);
const FILES: readonly FileSpec[] = [
  { path: 'raw/2025-06-14/run-8421/log.mcap', bytes: LOG },
  { path: 'labels/8421.json', bytes: '{"label":"glare"}', mode: 0o666 },
  { path: 'labels/8422.json', bytes: '{"label":"none"}' },
];
const LOG_PATH = 'raw/2025-06-14/run-8421/log.mcap';

const children: NativeChild[] = [];
const callers: Caller[] = [];
afterEach(async () => {
  for (const caller of callers.splice(0)) caller.kill();
  for (const child of children.splice(0)) await child.stop();
});

async function mount(options: ChildOptions = {}): Promise<NativeChild> {
  const child = await NativeChild.start({ writable: FILES, ...options });
  children.push(child);
  await child.call('mount');
  return child;
}

function caller(child: NativeChild): Caller {
  const made = new Caller(child.directory);
  callers.push(made);
  return made;
}

async function calls(child: NativeChild, name: string): Promise<number> {
  return (await child.counts()).calls[name] ?? 0;
}

describe.skipIf(missing !== undefined || !isRoot)('how a native mount writes', () => {
  it('through kernel passthrough where the staged file holds every byte', async () => {
    const child = await mount();
    const one = caller(child);
    await one.put('labels/8423.json', '{"label":"glare"}');
    expect(await one.text('labels/8423.json')).toBe('{"label":"glare"}');
    await one.call('open', 'a', 'labels/8421.json', 'O_RDWR');
    await one.call('pwrite', 'a', 0, base64('{"LABEL'));
    await one.call('close', 'a');
    expect(await one.text('labels/8421.json')).toBe('{"LABEL":"glare"}');
    expect(await calls(child, 'write')).toBe(0);
    const features = await child.features();
    if (features['passthrough'] !== true) return;
    expect(features).toMatchObject({ nativeWrites: 0, passthroughOpens: 4 });
  });

  it('on its own threads where there is no passthrough', async () => {
    const child = await mount({ noPassthrough: true });
    const one = caller(child);
    await one.put('new.bin', LOG);
    expect(await one.call('hash', 'new.bin')).toBe(await one.call('hash', LOG_PATH));
    expect(await calls(child, 'write')).toBe(0);
    expect((await child.features())['nativeWrites']).toBeGreaterThanOrEqual(3);
  });

  it('asks for a page of what is committed only where a write begins or ends within it', async () => {
    const child = await mount({ grants: false });
    const one = caller(child);
    await one.call('open', 'a', LOG_PATH, 'O_RDWR');
    await one.call('pwrite', 'a', 1_048_576, base64(patterned(8192)));
    expect(await calls(child, 'read')).toBe(0);
    await one.call('pwrite', 'a', 100, base64('glare'));
    expect(await calls(child, 'read')).toBe(1);
    await one.call('pwrite', 'a', 105, base64('glare'));
    await one.call('pwrite', 'a', 4096 * 3 + 1, base64(patterned(4096)));
    expect(await calls(child, 'read')).toBe(3);
    expect(await calls(child, 'write')).toBe(0);
    const read = await one.bytes('a', 90, 30);
    const wanted = Buffer.from(LOG.subarray(90, 120));
    wanted.write('glareglare', 10);
    expect(read).toEqual(wanted);
  });

  it('shows what was written to those who had the file open before', async () => {
    for (const options of [{}, { grants: false }]) {
      const child = await mount(options);
      const [one, two] = [caller(child), caller(child)];
      await one.call('open', 'old', LOG_PATH, 'O_RDONLY');
      expect(await one.bytes('old', 5000, 5)).toEqual(Buffer.from(LOG.subarray(5000, 5005)));
      await two.call('open', 'new', LOG_PATH, 'O_WRONLY');
      await two.call('pwrite', 'new', 5001, base64('XY'));
      await two.call('pwrite', 'new', 1_500_000, base64('Z'));
      expect((await one.bytes('old', 5000, 5)).toString('latin1').slice(1, 3)).toBe('XY');
      expect((await one.bytes('old', 1_500_000, 1)).toString()).toBe('Z');
      expect((await one.bytes('old', 1_400_000, 1))[0]).toBe(LOG[1_400_000]);
      await two.call('truncate', LOG_PATH, 4);
      expect((await one.bytes('old', 0, 100)).length).toBe(4);
    }
  });

  it('takes whole pages of what is committed, where the disk takes no more, and ends there', async () => {
    const child = await mount();
    const one = caller(child);
    await one.call('truncate', LOG_PATH, 1000);
    await one.call('open', 'a', LOG_PATH, 'O_RDWR');
    // No file of the process may be longer: what is written up to there is taken, within a page.
    execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=5000:']);
    expect(await one.call('pwrite', 'a', 2000, base64(patterned(8192)))).toBe(2096);
    expect((await one.attributes(LOG_PATH)).size).toBe(4096);
    expect(await one.errno('pwrite', 'a', 4097, base64(patterned(8192)))).toBe('EFBIG');
    expect((await one.attributes(LOG_PATH)).size).toBe(4096);
    const wanted = Buffer.alloc(4096);
    wanted.set(LOG.subarray(0, 1000));
    wanted.set(patterned(8192).subarray(0, 2096), 2000);
    expect(await one.bytes('a', 0, 9000)).toEqual(wanted);
  });

  it('tells the times that stores through a map have changed', async () => {
    const child = await mount();
    const one = caller(child);
    const before = await one.attributes('labels/8421.json');
    await one.call('open', 'a', 'labels/8421.json', 'O_RDWR');
    await one.call('map', 'm', 'a', 10);
    await one.call('mapwrite', 'm', 0, base64('X'));
    await one.call('mapsync', 'm');
    const after = await one.attributes('labels/8421.json');
    expect(BigInt(after.mtime)).toBeGreaterThan(BigInt(before.mtime));
  });

  it('says what it cannot: files without a name, and whiteouts', async () => {
    const one = caller(await mount());
    expect(await one.errno('temporary', 't', 'labels')).toBe('ENOTSUP');
    expect(await one.errno('rename', 'labels/8421.json', 'labels/x', 4)).toBe('EINVAL');
    expect(await one.errno('rename', 'labels/8421.json', 'labels/8422.json', 1)).toBe('EEXIST');
  });

  it('lets go of what the kernel has forgotten', async () => {
    const child = await mount();
    const one = caller(child);
    await one.call('list', '');
    const { held = 0 } = await child.counts();
    for (let i = 0; i < 200; i++) await one.put(`scratch-${i}`, 'x');
    expect((await child.counts()).held).toBeGreaterThanOrEqual(held + 200);
    await one.call('list', '');
    for (let i = 0; i < 200; i++) await one.call('unlink', `scratch-${i}`);
    await child.until((counts) => (counts.held ?? 0) <= held && counts.handles === 0);
    expect((await child.counts()).faults).toEqual([]);
  });
});

describe.skipIf(missing !== undefined || !isRoot)('set-user-ID on a native mount', () => {
  for (const noPassthrough of [false, true]) {
    const how = noPassthrough ? 'on threads' : 'by passthrough';
    it(`goes when another user writes or truncates, ${how}`, async () => {
      const child = await mount({ noPassthrough });
      const [root, other] = [caller(child), caller(child)];
      await other.call('become', NOBODY, NOBODY);
      const mode = async (): Promise<number> => (await root.attributes('tool')).mode;
      await root.put('tool', '#!/bin/sh\n');
      await root.call('chmod', 'tool', 0o6777);
      await root.call('open', 'own', 'tool', 'O_WRONLY');
      await root.call('write', 'own', base64('#'));
      expect(await mode()).toBe(0o6777);
      await other.call('open', 'a', 'tool', 'O_WRONLY');
      expect(await mode()).toBe(0o6777);
      await other.call('write', 'a', base64('#!'));
      expect(await mode()).toBe(0o777);
      await root.call('chmod', 'tool', 0o4777);
      await other.call('ftruncate', 'a', 1);
      expect(await mode()).toBe(0o777);
      await root.call('chmod', 'tool', 0o4777);
      await other.call('open', 'b', 'tool', 'O_WRONLY|O_TRUNC');
      expect(await mode()).toBe(0o777);
    });
  }

  it('goes when the owner changes, but not that of a directory', async () => {
    const child = await mount();
    const root = caller(child);
    await root.put('tool', '#!/bin/sh\n');
    await root.call('chmod', 'tool', 0o6755);
    await root.call('chown', 'tool', NOBODY, -1);
    expect(await root.attributes('tool')).toMatchObject({ mode: 0o755, uid: NOBODY });
    await root.call('mkdir', 'shared');
    await root.call('chmod', 'shared', 0o2775);
    await root.call('chown', 'shared', NOBODY, NOBODY);
    expect((await root.attributes('shared')).mode & SET_UID).toBe(0);
    expect((await root.attributes('shared')).mode).toBe(0o2775);
  });
});

describe.skipIf(missing !== undefined || !isRoot)('what changes behind a native mount', () => {
  it('is seen at once: names that come, go and become others, and listings', async () => {
    const child = await mount();
    const one = caller(child);
    const seen = async (): Promise<string> => {
      const outcome = await one.outcome('hash', 'labels/8421.json');
      return 'errno' in outcome ? outcome.errno : String(outcome.ok);
    };
    expect(await one.call('list', 'labels')).toEqual(['8421.json', '8422.json']);
    expect(await one.errno('readlink', 'labels/new.json')).toBe('ENOENT');
    const first = await seen();
    await child.call('changeElsewhere', { path: 'labels/8421.json', bytes: 'other' });
    await expect.poll(seen).not.toBe(first);
    expect(await one.text('labels/8421.json')).toBe('other');
    await child.call('changeElsewhere', { path: 'labels/8421.json' });
    await expect.poll(seen).toBe('ENOENT');
    await child.call('changeElsewhere', { path: 'labels/new.json', bytes: 'new' });
    await expect.poll(() => one.call('list', 'labels')).toEqual(['8422.json', 'new.json']);
    expect(await one.text('labels/new.json')).toBe('new');
  });

  it('is read anew, also by those who had the bytes', async () => {
    const child = await mount();
    const one = caller(child);
    expect(await one.text('labels/8422.json')).toBe('{"label":"none"}');
    await child.call('rewriteElsewhere', { path: 'labels/8422.json', bytes: 'glare, surely' });
    await expect.poll(() => one.text('labels/8422.json')).toBe('glare, surely');
  });

  it('leaves a directory that is not concerned the working directory it was', async () => {
    const child = await mount();
    const one = new Caller(child.path('labels'));
    callers.push(one);
    const below = caller(child);
    expect(await below.call('list', '')).toContain('labels');
    await child.call('changeElsewhere', { path: 'notes.txt', bytes: 'x' });
    await expect.poll(() => below.call('list', '')).toContain('notes.txt');
    await one.put('8424.json', '{}');
    expect(await below.call('list', 'labels')).toContain('8424.json');
  });
});

describe.skipIf(missing !== undefined || !isRoot)(
  'the end of a native mount that is written',
  () => {
    it('comes also while a notice waits for a request that is never answered', async () => {
      const child = await mount();
      const { stuck } = await holdUp(child, caller(child));
      await child.call('unmount', { force: true });
      await stuck;
      expect(await child.isMounted()).toBe(false);
      await child.until((counts) => counts.handles === 0);
    });

    it('lets everybody go, when the process is killed meanwhile, as soon as it is cleared away', async () => {
      const child = await mount();
      const { stuck } = await holdUp(child, caller(child));
      void child.kill();
      await removeDeadMount(child.directory);
      await child.exited;
      await stuck;
      expect(await child.isMounted()).toBe(false);
    });
  },
);
