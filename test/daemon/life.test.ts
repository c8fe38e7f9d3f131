import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, stat, symlink, writeFile, chmod, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { daemonPaths } from '../../src/daemon/paths.js';
import { installed } from '../../src/util/installation.js';
import { lockHome } from '../../src/workspace/home.js';
import { ended, isAlive, killAndWait, MAIN, run, Shell } from '../cli/shell.js';

const shells: Shell[] = [];

async function open(home?: string): Promise<Shell> {
  const shell = await Shell.open(home);
  shells.push(shell);
  return shell;
}

afterEach(async () => {
  for (const shell of shells.splice(0)) await shell.dispose();
});

async function starts(shell: Shell): Promise<number> {
  return (await shell.events()).filter(({ event }) => event === 'started').length;
}

/** Ends of connections to the daemon's socket, with those that it has not accepted yet. */
async function connections(shell: Shell): Promise<number> {
  const sockets = (await readFile('/proc/net/unix', 'latin1')).split('\n');
  return sockets.filter((line) => line.includes(` ${shell.socket}`)).length;
}

describe('starting on demand', () => {
  it('ends with one daemon when many commands want one at once', async () => {
    const shell = await open();
    const names = ['a', 'b', 'c', 'd', 'e'];
    const made = await Promise.all(names.map((name) => shell.tarn(['repo', 'create', name])));
    expect(made.map(({ code, stderr }) => `${String(code)}${stderr}`)).toEqual(
      names.map(() => '0'),
    );
    expect(await starts(shell)).toBe(1);
    expect(await shell.jsonRows('repo', 'list')).toHaveLength(5);
  });

  it('starts anew over the socket of a daemon that was killed', async () => {
    const shell = await open();
    await shell.must('daemon', 'start');
    await killAndWait(await shell.daemonPid());
    expect((await stat(shell.socket)).isSocket()).toBe(true);
    expect(await shell.must('repo', 'list')).toBe('');
    expect(await starts(shell)).toBe(2);
  });

  it('goes to the next daemon when the one that it reached is killed before it has begun', async () => {
    const shell = await open();
    await shell.must('daemon', 'start');
    const pid = await shell.daemonPid();
    process.kill(pid, 'SIGSTOP');
    const before = await connections(shell);
    const created = shell.must('repo', 'create', 'drive');
    await vi.waitUntil(async () => (await connections(shell)) > before);
    await killAndWait(pid);
    await created;
    expect(await starts(shell)).toBe(2);
  });

  it('keeps socket and home to its user', async () => {
    const shell = await open();
    await shell.must('daemon', 'start');
    expect((await stat(shell.socket)).mode & 0o777).toBe(0o600);
    expect((await stat(shell.home)).mode & 0o777).toBe(0o700);
    expect((await stat(shell.path('home', 'run'))).mode & 0o777).toBe(0o700);
  });

  it('survives the end of the terminal that it was started from', async () => {
    const shell = await open();
    await shell.must('daemon', 'start');
    const pid = await shell.daemonPid();
    process.kill(pid, 'SIGHUP');
    expect(await shell.daemonPid()).toBe(pid);
    const [, , , , , session] = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(' ');
    expect(Number(session)).toBe(pid);
  });

  it('refuses a home that others may write to, and says why', async () => {
    const shell = await open();
    await mkdir(shell.home);
    await chmod(shell.home, 0o777);
    const ran = await shell.tarn(['repo', 'list']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('others may write to the home directory');
    expect(ran.stderr).toContain('chmod 700');
  });

  it('says why a daemon cannot start', async () => {
    const shell = await open();
    await mkdir(shell.home, { mode: 0o700 });
    await writeFile(shell.path('home', 'repositories.db'), 'this is no database at all, is it?');
    const ran = await shell.tarn(['repo', 'list']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('repositories.db');
  });

  it('works in a home whose path is too long for a socket', async () => {
    const shell = await open('h'.repeat(120));
    await shell.must('repo', 'create', 'drive');
    expect(await shell.must('repo', 'list')).toContain('drive');
    expect(await readdir(`${shell.home}/run`)).not.toContain('daemon.sock');
  });

  it('is one daemon for a home that has two names', async () => {
    const shell = await open();
    await shell.must('daemon', 'start');
    await symlink(shell.home, shell.path('alias'));
    const other = await run('env', [
      `TARN_HOME=${shell.path('alias')}`,
      process.execPath,
      MAIN,
      'daemon',
      'status',
      '--json',
    ]);
    expect(JSON.parse(other.stdout)).toMatchObject({ pid: await shell.daemonPid() });
  });
});

describe('a socket that is not in the home', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.each(['open to others', 'a link'])('is not used where its directory is %s', async (what) => {
    const shell = await open('h'.repeat(120));
    const runtime = shell.path('runtime');
    vi.stubEnv('XDG_RUNTIME_DIR', runtime);
    const { socket } = daemonPaths(shell.home);
    expect(dirname(socket)).toBe(join(runtime, 'tarn'));
    await mkdir(shell.path('theirs'), { mode: 0o700 });
    await mkdir(runtime);
    if (what === 'a link') await symlink(shell.path('theirs'), dirname(socket));
    else await mkdir(dirname(socket));
    await chmod(dirname(socket), what === 'a link' ? 0o700 : 0o755);
    let connections = 0;
    const server = createServer(() => (connections += 1)).listen(socket);
    await once(server, 'listening');
    const ran = await shell.tarn(['repo', 'list']);
    server.close();
    await once(server, 'close');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`'${dirname(socket)}' is not a directory private to this user`);
    expect(connections).toBe(0);
    await rm(dirname(socket), { recursive: true });
    await shell.must('daemon', 'start');
    expect((await stat(dirname(socket))).mode & 0o777).toBe(0o700);
  });
});

describe('a lock whose holder does not answer', () => {
  it('is waited for in patience, then named with what to do', async () => {
    const shell = await open();
    const lock = lockHome(shell.home);
    const started = shell.path('started');
    const counting = await shell.file(
      'count.mjs',
      `import { appendFileSync } from 'node:fs'; appendFileSync('${started}', '.');`,
    );
    const ran = await shell.tarn(['repo', 'list'], {
      env: { NODE_OPTIONS: `--import ${counting}` },
    });
    lock.release();
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`the process ${process.pid} holds the lock of '${shell.home}'`);
    expect(ran.stderr).toContain(`'kill ${process.pid}'`);
    expect((await readFile(started, 'utf8')).length).toBeLessThan(12);
    await shell.must('repo', 'list');
  });
});

describe('a daemon that was not awaited', () => {
  it('serves others when the command that started it has gone', async () => {
    const shell = await open();
    await mkdir(shell.home, { mode: 0o700 });
    const child = spawn(process.execPath, [installed('dist/bin/daemon.js')], {
      env: { ...process.env, TARN_HOME: shell.home, TARN_REPORT_FD: '3' },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    const exited = once(child, 'exit');
    (child.stdio[3] as Readable).destroy();
    await expect.poll(async () => (await shell.tarn(['daemon', 'status'])).code).toBe(0);
    expect(await shell.daemonPid()).toBe(child.pid);
    await shell.must('daemon', 'stop');
    expect(await exited).toEqual([0, null]);
  });
});

describe('ending', () => {
  it('stops and says which process that was; a second stop finds none', async () => {
    const shell = await open();
    await shell.must('daemon', 'start');
    const pid = await shell.daemonPid();
    expect(await shell.json('daemon', 'stop')).toEqual({ stopped: true, pid });
    expect(isAlive(pid)).toBe(false);
    await expect(stat(shell.socket)).rejects.toThrow('ENOENT');
    expect(await shell.json('daemon', 'stop')).toEqual({ stopped: false });
  });

  it('lets commands given meanwhile go on with the next daemon', async () => {
    const shell = await open();
    await shell.must('repo', 'create', 'drive');
    for (let round = 0; round < 4; round += 1) {
      const ran = await Promise.all([
        shell.tarn(['daemon', 'stop']),
        shell.tarn(['repo', 'list']),
        shell.tarn(['ls', 'drive/main']),
        shell.tarn(['stat', 'drive/main']),
      ]);
      expect(ran.map(({ code, stderr }) => `${String(code)}${stderr}`)).toEqual(Array(4).fill('0'));
    }
  });

  it('status starts none', async () => {
    const shell = await open();
    const ran = await shell.tarn(['daemon', 'status']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('no daemon runs');
    expect(await starts(shell)).toBe(0);
  });

  it('runs in the foreground until interrupted', async () => {
    const shell = await open();
    const child = shell.start(['daemon', 'run']);
    const result = ended(child);
    await once(child.stderr as NodeJS.ReadableStream, 'data');
    await expect.poll(async () => (await shell.tarn(['daemon', 'status'])).code).toBe(0);
    const second = await shell.tarn(['daemon', 'run']);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('another daemon serves the home');
    child.kill('SIGINT');
    expect(await result).toMatchObject({ code: 0 });
    expect((await shell.events()).at(-1)?.event).toBe('stopped');
  });

  it.each([
    { signals: ['SIGHUP'] },
    { signals: ['SIGINT', 'SIGINT'] },
    { signals: ['SIGTERM', 'SIGHUP', 'SIGINT'] },
  ] as const)('unmounts in the foreground on $signals', async ({ signals }) => {
    const shell = await open();
    const child = shell.start(['daemon', 'run']);
    const result = ended(child);
    await expect.poll(async () => (await shell.tarn(['daemon', 'status'])).code).toBe(0);
    await shell.must('repo', 'create', 'drive');
    const directory = await shell.mountPoint('m');
    await shell.must('mount', 'drive/main', directory);
    // In use, so that stopping takes long enough for the second signal to come meanwhile.
    const holder = spawn('sleep', ['60'], { cwd: directory, stdio: 'ignore' });
    try {
      await once(holder, 'spawn');
      for (const signal of signals) {
        child.kill(signal);
        await expect.poll(() => stat(shell.socket).catch(() => 'gone')).toBe('gone');
      }
      await result;
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
    expect((await shell.events()).at(-1)?.event).toBe('stopped');
  });

  it('unmounts and ends when its home has been deleted', async () => {
    const shell = await open();
    await shell.must('repo', 'create', 'drive', '--storage', shell.path('drive'));
    const directory = await shell.mountPoint('m');
    await shell.must('mount', 'drive/main', directory);
    const pid = await shell.daemonPid();
    await rm(shell.home, { recursive: true });
    try {
      await expect.poll(() => isAlive(pid)).toBe(false);
    } finally {
      // Its log, by which others are found and ended, went with the home.
      if (isAlive(pid)) await killAndWait(pid);
    }
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
  });

  it('unmounts also when its socket has been deleted', async () => {
    const shell = await open();
    await shell.must('repo', 'create', 'drive');
    const directory = await shell.mountPoint('m');
    await shell.must('mount', 'drive/main', directory);
    const pid = await shell.daemonPid();
    await rm(shell.socket);
    await killAndWait(pid, 'SIGTERM');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
    expect((await shell.events()).at(-1)?.event).toBe('stopped');
  });
});

describe('another version', () => {
  async function daemonOf(shell: Shell, protocol: string): Promise<() => Promise<void>> {
    await mkdir(shell.path('home', 'run'), { recursive: true, mode: 0o700 });
    const server = createServer((socket) => {
      socket.once('data', () => {
        const header = `HTTP/1.1 200 OK\r\ntarn-protocol: ${protocol}\r\ntarn-version: 9.9.9\r\n`;
        socket.end(`${header}\r\n{"done":{}}\n`);
      });
    });
    server.listen(shell.socket);
    await once(server, 'listening');
    return async () => {
      server.close();
      await once(server, 'close');
    };
  }

  it('refuses a newer and an older daemon with words that say which side is old', async () => {
    const shell = await open();
    const closeNewer = await daemonOf(shell, '99');
    const newer = await shell.tarn(['repo', 'list']);
    await closeNewer();
    expect(newer.code).toBe(1);
    expect(newer.stderr).toContain('this command line is the older one');
    expect(newer.stderr).toContain('tarn 9.9.9');
    const closeOlder = await daemonOf(shell, '0');
    const older = await shell.tarn(['repo', 'list']);
    await closeOlder();
    expect(older.code).toBe(1);
    expect(older.stderr).toContain('the running daemon is the older one');
    expect(older.stderr).toContain('tarn daemon stop');
  });
});
