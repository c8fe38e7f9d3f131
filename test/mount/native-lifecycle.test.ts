import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, statSync } from 'node:fs';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isDeadMount, removeDeadMount } from '../../src/mount/mounts.js';
import { NativeDriver } from '../../src/mount/native/driver.js';
import { Caller } from '../suites/writable/caller.js';
import { holdUp } from './held-up.js';
import { NativeChild, program, python, type ChildOptions } from './native-child.js';

const missing = await new NativeDriver().unavailable();
const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;

const children: NativeChild[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) await child.stop();
});

async function start(options?: ChildOptions): Promise<NativeChild> {
  const child = await NativeChild.start(options);
  children.push(child);
  return child;
}

async function mount(options?: ChildOptions): Promise<NativeChild> {
  const child = await start(options);
  await child.call('mount');
  return child;
}

async function descriptorsOf(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

async function threadsOf(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/task`)).length;
}

describe.skipIf(missing !== undefined || !isRoot)('the end of a native mount', () => {
  it('unmounts, tells so, and keeps neither descriptors nor threads', async () => {
    const child = await mount();
    await readFile(child.path('plain'));
    await child.call('unmount', { force: false });
    await child.call('ended');
    expect(await child.isMounted()).toBe(false);
    const descriptors = await descriptorsOf(child.pid);
    const threads = await threadsOf(child.pid);
    for (let times = 0; times < 10; times++) {
      await child.call('mount');
      await readFile(child.path('granted'));
      await child.call('unmount', { force: false });
    }
    await expect.poll(() => descriptorsOf(child.pid)).toBe(descriptors);
    expect(await threadsOf(child.pid)).toBeLessThanOrEqual(threads);
    expect(await child.counts()).toMatchObject({ handles: 0, faults: [] });
  });

  it('refuses while a file is open, naming the directory, and goes on serving', async () => {
    const child = await mount();
    const file = await open(child.path('plain'));
    await expect(child.call('unmount', { force: false })).rejects.toMatchObject({
      kind: 'busy',
      message: expect.stringContaining(child.directory) as string,
    });
    expect((await file.read(Buffer.alloc(10), 0, 10, 0)).bytesRead).toBe(10);
    await file.close();
    await child.until((counts) => counts.handles === 0);
    await child.call('unmount', { force: false });
  });

  it('detaches by force: what is open gets ENOTCONN, and its handles are released', async () => {
    const child = await mount();
    const file = await open(child.path('plain'));
    await child.call('unmount', { force: true });
    expect(await child.isMounted()).toBe(false);
    const read = file.read(Buffer.alloc(10), 0, 10, 2 ** 20);
    await expect(read).rejects.toMatchObject({ code: 'ENOTCONN' });
    await expect(file.close()).rejects.toMatchObject({ code: 'ENOTCONN' });
    expect((await child.counts()).handles).toBe(0);
  });

  it('ends calls that are waiting when it is forced', async () => {
    const child = await mount();
    const waiting = readFile(child.path('stuck'));
    waiting.catch(() => undefined);
    await child.until((counts) => counts.calls['read'] === 1);
    await child.call('unmount', { force: true });
    await expect(waiting).rejects.toThrow();
    await child.until((counts) => counts.aborted === 1 && counts.handles === 0);
  });

  it('can be cut at any moment under load', async () => {
    const child = await start();
    for (let times = 0; times < 5; times++) {
      await child.call('mount');
      const { calls } = await child.counts();
      const names = ['plain', 'whole', 'granted', 'packed', 'many', 'stuck'];
      const busy = Array.from({ length: 24 }, (_, at) => {
        const path = child.path(names[at % names.length] ?? 'plain');
        return path.endsWith('many') ? readdir(path) : readFile(path);
      });
      const settled = Promise.allSettled(busy);
      await child.until((counts) => (counts.calls['open'] ?? 0) > (calls['open'] ?? 0));
      await child.call('unmount', { force: true });
      await settled;
      expect(await child.isMounted()).toBe(false);
      await child.until((counts) => counts.handles === 0);
    }
    expect((await child.counts()).faults).toEqual([]);
  });

  it('notices an unmount from outside', async () => {
    const child = await mount();
    await readFile(child.path('plain'));
    const ended = child.call('ended');
    await program('umount', child.directory);
    await ended;
    // What is gone can be unmounted again without complaint.
    await child.call('unmount', { force: false });
    await child.call('mount');
    expect((await stat(child.path('plain'))).isFile()).toBe(true);
  });

  it('leaves no mount when the process exits', async () => {
    const child = await mount();
    child.call('exit').catch(() => undefined);
    await child.exited;
    expect(await child.isMounted()).toBe(false);
  });

  it('leaves no mount when the worker ends that serves it', async () => {
    const child = await start();
    await child.call('mountInWorker');
    expect((await readFile(child.path('packed'))).length).toBe(5000);
    await child.call('terminateWorker');
    expect(await child.isMounted()).toBe(false);
  });

  it('hangs nobody when the process is killed, and is cleared away', async () => {
    const child = await mount();
    const waiting = readFile(child.path('stuck'));
    waiting.catch(() => undefined);
    await child.until((counts) => counts.calls['read'] === 1);
    expect(await isDeadMount(child.directory)).toBe(false);
    await child.kill();
    await expect(waiting).rejects.toThrow();
    expect(await child.isMounted()).toBe(true);
    await expect(readFile(child.path('plain'))).rejects.toThrow(/ENOTCONN|ECONNABORTED/);
    expect(await isDeadMount(child.directory)).toBe(true);
    await removeDeadMount(child.directory);
    expect(await child.isMounted()).toBe(false);
  });
});

describe.skipIf(missing !== undefined)('interrupts', () => {
  /** Opens a file and tells how often a signal that it handles has come. */
  const surviving = `
import os, signal, sys
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
print(os.fstat(os.open(sys.argv[1], os.O_RDONLY)).st_size, len(seen))`;

  const exit = (reader: ChildProcess): Promise<unknown> =>
    new Promise((resolve) => reader.on('exit', (code, signal) => resolve(signal ?? code)));

  it('end a call whose program is killed', async () => {
    const child = await mount();
    const reader = spawn('cat', [child.path('stuck-open')], { stdio: 'ignore' });
    const ended = exit(reader);
    await child.until((counts) => counts.calls['open'] === 1);
    reader.kill('SIGTERM');
    expect(await ended).toBe('SIGTERM');
    await child.until((counts) => counts.aborted === 1);
    expect((await child.counts()).faults).toEqual([]);
  });

  it('let a program be killed that waits for a read', async () => {
    const child = await mount();
    const reader = spawn('cat', [child.path('stuck')], { stdio: 'ignore' });
    const ended = exit(reader);
    await child.until((counts) => counts.calls['read'] === 1);
    reader.kill('SIGTERM');
    expect(await ended).toBe('SIGTERM');
  });

  it('do not fail a call whose program handles the signal, as on a disk', async () => {
    const child = await mount();
    const reader = spawn('python3', ['-c', surviving, child.path('slow-open')]);
    let printed = '';
    reader.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    const ended = new Promise((resolve) => reader.on('close', resolve));
    await child.until((counts) => counts.calls['open'] === 1);
    reader.kill('SIGUSR1');
    await child.call('continue');
    expect(await ended).toBe(0);
    expect(printed.trim()).toBe('4096 1');
    expect((await child.counts()).calls['open']).toBe(1);
  });

  it('end a call whose program survived a first signal and is then killed', async () => {
    const child = await mount();
    const reader = spawn('python3', ['-c', surviving, child.path('stuck-open')]);
    const ended = exit(reader);
    await child.until((counts) => counts.calls['open'] === 1);
    reader.kill('SIGUSR1');
    reader.kill('SIGKILL');
    expect(await ended).toBe('SIGKILL');
    await child.until((counts) => counts.aborted === 1);
  });

  it('release what an open gives that comes too late', async () => {
    const child = await mount();
    const reader = spawn('cat', [child.path('slow-open')], { stdio: 'ignore' });
    const ended = exit(reader);
    await child.until((counts) => counts.calls['open'] === 1);
    reader.kill('SIGKILL');
    await ended;
    await child.call('continue');
    await child.until((counts) => counts.released === 1 && counts.handles === 0);
  });
});

describe.skipIf(missing !== undefined || !isRoot)('writing calls', () => {
  const tries = `
import os, sys
os.chdir(sys.argv[1])
def attempt(name, call):
    try:
        call()
        print(name, 'done')
    except OSError as e:
        print(name, e.errno)
attempt('create', lambda: os.open('new', os.O_CREAT | os.O_WRONLY))
attempt('write', lambda: os.open('plain', os.O_WRONLY))
attempt('append', lambda: os.open('plain', os.O_RDWR | os.O_APPEND))
attempt('truncate', lambda: os.truncate('plain', 0))
attempt('mkdir', lambda: os.mkdir('d'))
attempt('mknod', lambda: os.mknod('fifo'))
attempt('unlink', lambda: os.unlink('plain'))
attempt('rmdir', lambda: os.rmdir('many'))
attempt('rename', lambda: os.rename('plain', 'other'))
attempt('link', lambda: os.link('plain', 'other'))
attempt('symlink', lambda: os.symlink('plain', 'other'))
attempt('chmod', lambda: os.chmod('plain', 0))
attempt('chown', lambda: os.chown('plain', 1, 1))
attempt('utime', lambda: os.utime('plain', (0, 0)))
attempt('setxattr', lambda: os.setxattr('plain', 'user.a', b'b'))
attempt('removexattr', lambda: os.removexattr('plain', 'user.tarn.path'))`;

  const check = async (child: NativeChild): Promise<void> => {
    const lines = (await python(tries, child.directory)).split('\n');
    expect(lines.length).toBe(16);
    for (const line of lines) expect(line).toMatch(/ 30$/);
  };

  it('all get EROFS', async () => {
    await check(await mount());
  });

  it('get it from the driver where the kernel was told to let them through', async () => {
    const child = await mount();
    await program('mount', '-i', '-o', 'remount,rw', child.directory);
    await check(child);
  });
});

describe.skipIf(missing !== undefined || !isRoot)('a mount point', () => {
  const refused = (child: NativeChild): Promise<{ kind: string; message: string; hint: string }> =>
    child.call('mount').then(
      () => expect.unreachable('it was mounted'),
      (error: unknown) => error as { kind: string; message: string; hint: string },
    );

  it('must not be mounted already', async () => {
    const child = await mount();
    expect(await refused(child)).toMatchObject({ kind: 'busy' });
  });

  it('must not carry a dead mount, which the message tells apart', async () => {
    const [dead, other] = [await mount(), await start()];
    await dead.kill();
    const error = await other.call('mount', { directory: dead.directory }).catch((e: unknown) => e);
    expect(error).toMatchObject({
      kind: 'busy',
      message: expect.stringContaining('died') as string,
      hint: expect.stringContaining('tarn umount') as string,
    });
  });

  it('must be empty', async () => {
    const child = await start();
    await writeFile(child.path('something'), '');
    expect(await refused(child)).toMatchObject({
      kind: 'not-empty',
      message: expect.stringContaining('something') as string,
    });
  });

  it('must exist, be a directory, and lie outside of other mounts', async () => {
    const [outer, child] = [await mount(), await start()];
    const at = (directory: string): Promise<unknown> =>
      child.call('mount', { directory }).catch((error: unknown) => error);
    expect(await at(child.path('none'))).toMatchObject({ kind: 'not-found' });
    expect(await at('/etc/passwd')).toMatchObject({ kind: 'not-directory' });
    expect(await at(outer.path('many'))).toMatchObject({ kind: 'invalid' });
  });
});

describe.skipIf(missing !== undefined || !isRoot)('a user who is not root', () => {
  // As udev sets it; a bare machine or container may have no udev.
  let mode: number;
  beforeAll(() => {
    mode = statSync('/dev/fuse').mode & 0o777;
    chmodSync('/dev/fuse', 0o666);
  });
  afterAll(() => chmodSync('/dev/fuse', mode));

  it.skipIf(!existsSync('/usr/bin/fusermount3'))('mounts through fusermount3', async () => {
    const child = await mount({ uid: NOBODY });
    expect(await child.features()).toMatchObject({ mountedBy: 'fusermount3', passthrough: false });
    const as = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
    const listed = await program('setpriv', ...as, 'ls', '-l', child.path('many'));
    expect(listed.trim().split('\n').length).toBe(10_001);
    const read = await program(
      'setpriv',
      ...as,
      'md5sum',
      child.path('whole'),
      child.path('plain'),
    );
    const [whole, plain] = read.split('\n').map((line) => line.slice(0, 32));
    expect(whole).toBe(plain);
    await child.call('unmount', { force: false });
    expect(await child.isMounted()).toBe(false);
  });

  it.skipIf(!existsSync('/usr/bin/fusermount3'))('writes, and ends it at any moment', async () => {
    const files = ['8421.json', '8422.json'].map((name) => ({
      path: `labels/${name}`,
      bytes: '{}',
    }));
    const child = await mount({ uid: NOBODY, writable: files });
    const one = new Caller(child.directory);
    try {
      await one.call('become', NOBODY, NOBODY);
      await one.put('labels/8423.json', 'by nobody');
      expect(await one.text('labels/8423.json')).toBe('by nobody');
      const { uid, mode } = await one.attributes('labels/8423.json');
      expect([uid, mode]).toEqual([NOBODY, 0o644]);
      const { stuck } = await holdUp(child, one);
      await child.call('unmount', { force: true });
      await stuck;
      expect(await child.isMounted()).toBe(false);
    } finally {
      one.kill();
    }
  });

  it.skipIf(!existsSync('/usr/bin/fusermount3'))('leaves no mount when it exits', async () => {
    const child = await mount({ uid: NOBODY });
    child.call('exit').catch(() => undefined);
    await child.exited;
    expect(await child.isMounted()).toBe(false);
  });

  it('is told what is missing without fusermount3', async () => {
    const child = await start({ uid: NOBODY, env: { PATH: '/nonexistent' } });
    expect(await child.call('unavailable')).toContain('apt-get install fuse3');
    await expect(child.call('mount')).rejects.toMatchObject({ kind: 'unsupported' });
  });
});
