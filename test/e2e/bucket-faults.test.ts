import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ProxyFault, ProxyRules, SlowProxy } from '../../scripts/lib/slow-proxy.js';
import { startSlowProxy } from '../../scripts/lib/slow-proxy.js';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import type { StatsRow } from '../../src/daemon/protocol/stats.js';
import type { Ran } from '../cli/shell.js';
import { ended, run, Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 180_000;
/** What a call to the bucket may take; an attempt of it a second. */
const CALL_S = 2;
/** Nothing here waits longer, whatever the store does; a command is several calls. */
const COMMAND_S = 20;
const FILE_BYTES = 1_500_000;

let server: StoreServer;
let proxy: SlowProxy;
let shell: Shell;
let frozen: string;

type Fault = NonNullable<ProxyRules['fault']>;

const every =
  (nth: number, fault: ProxyFault): Fault =>
  (request) =>
    request % nth === 0 ? fault : undefined;
const always =
  (fault: ProxyFault): Fault =>
  () =>
    fault;

interface Row {
  readonly name: string;
  readonly rules: ProxyRules;
  /** What every command says that fails; without it all succeed. */
  readonly says?: RegExp;
  /** Some may succeed all the same. */
  readonly mayPass?: true;
}

const slow: ProxyFault = { kind: 'error', status: 503, code: 'SlowDown' };
const failed: ProxyFault = { kind: 'error', status: 500, code: 'InternalError' };
const NO_ANSWER = /tried \d+ times|did not do it within|has not answered/;

const ROWS: readonly Row[] = [
  { name: 'latency', rules: { latencyMs: 15 } },
  { name: 'resets before the answer', rules: { fault: every(4, { kind: 'reset' }) } },
  {
    name: 'resets in the middle of a body',
    rules: { fault: every(4, { kind: 'truncate', afterBytes: 900, isReset: true }) },
  },
  {
    name: 'truncated bodies',
    rules: { fault: every(4, { kind: 'truncate', afterBytes: 900 }) },
  },
  { name: 'a storm of 503 SlowDown', rules: { fault: every(3, slow) } },
  { name: 'a storm of 500', rules: { fault: every(3, failed) } },
  { name: 'some sockets that stall', rules: { fault: every(11, { kind: 'stall' }) } },
  { name: 'what was done has no answer', rules: { fault: every(3, { kind: 'lost-answer' }) } },
  {
    name: 'what was done is answered by an error',
    rules: { fault: every(3, { ...failed, isDone: true }) },
  },
  {
    name: 'wrong bytes',
    rules: {
      fault: (request, line) => (isGet(line) ? every(3, CORRUPT)(request, line) : undefined),
    },
    says: /damaged|corrupt|hash|not valid|is no|cannot be read/i,
    mayPass: true,
  },
  { name: 'an outage of 503', rules: { fault: always(slow) }, says: NO_ANSWER },
  { name: 'sockets that all stall', rules: { fault: always({ kind: 'stall' }) }, says: NO_ANSWER },
  {
    name: 'no answer to anything that was done',
    rules: { fault: always({ kind: 'lost-answer' }) },
    says: NO_ANSWER,
  },
  {
    name: 'expired credentials',
    rules: { fault: always({ kind: 'error', status: 403, code: 'ExpiredToken' }) },
    says: /credentials have expired.*ExpiredToken/,
  },
  {
    name: 'a wrong clock',
    rules: { fault: always({ kind: 'error', status: 403, code: 'RequestTimeTooSkewed' }) },
    says: /this machine's clock is wrong/,
  },
  {
    name: 'a bucket that disappears',
    rules: { fault: always({ kind: 'error', status: 404, code: 'NoSuchBucket' }) },
    says: /there is no bucket/,
  },
];
const CORRUPT: ProxyFault = { kind: 'corrupt' };

beforeAll(ensureBuilt);
beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment, { TARN_TIMEOUT: String(CALL_S) });
  proxy = await startSlowProxy(server.endpoint);
  shell = await Shell.open();
  const [bucket = ''] = (await server.makeBucket()).split('?');
  const options = ['--endpoint', proxy.endpoint, '--region', 'us-east-1'];
  await shell.must('repo', 'create', 'drive', '--storage', `${bucket}/drive`, ...options);
  for (const i of [...ROWS.keys(), 'int', 'wrong', 'never-right']) {
    await shell.file(`src/${i}.bin`, randomBytes(FILE_BYTES));
  }
  await shell.must('put', '-r', shell.path('src'), 'drive/main');
  await shell.must('commit', 'drive/main', '-m', 'files');
  await shell.must('branch', 'create', 'drive/side');
  for (const i of ROWS.keys()) {
    await shell.must('put', await shell.file('side', `side ${i}`), `drive/side/side-${i}`);
    await shell.must('commit', 'drive/side', '-m', `side ${i}`);
  }
  await shell.must('branch', 'create', 'drive/scratch', '--from', 'main');
  frozen = await shell.mountPoint('frozen');
  await shell.must('mount', 'drive/main@', frozen);
}, LONG_MS);
afterEach(() => {
  proxy.rules = {};
});
afterAll(async () => {
  await shell.dispose();
  await proxy.stop();
  await server.stop();
}, LONG_MS);

function isGet(line: string): boolean {
  return line.startsWith('GET ');
}

const tarn = (...args: string[]): Promise<Ran> =>
  shell.tarn([...args, '--timeout', String(COMMAND_S)]);

/** Requests for what has this in its name stall; and when the first one came. */
function stalledAt(part: string): { fault: Fault; asked: Promise<void> } {
  let isAsked = (): void => undefined;
  const asked = new Promise<void>((resolve) => (isAsked = resolve));
  const fault: Fault = (_request, line) => {
    if (!line.includes(part)) return undefined;
    isAsked();
    return { kind: 'stall' };
  };
  return { fault, asked };
}

/** Whether the file of the row reads right through the mount; an error of a read is false. */
async function readsRight(name: string): Promise<boolean> {
  const { code, stdout } = await run('cmp', [shell.path(`src/${name}`), `${frozen}/${name}`]);
  // Other bytes: 1, and said so; what could not be read: 2.
  expect(stdout).toBe('');
  return code === 0;
}

async function getsRight(name: string): Promise<Ran> {
  const to = shell.path(`got-${name}-${Math.random()}`);
  const ran = await tarn('get', `drive/main/${name}`, to);
  if (ran.code === 0) {
    const [got, is] = [await readFile(to), await readFile(shell.path('src', name))];
    expect(Buffer.compare(got, is)).toBe(0);
  }
  return ran;
}

/** What a row does to the branch; each step is done once, however often this is called. */
class Steps {
  readonly #left: (readonly string[])[];

  constructor(row: number, file: string) {
    this.#left = [
      ['put', file, `drive/main/new-${row}`],
      ['commit', 'drive/main', '-m', `row ${row}`],
      ['merge', `drive/side~${ROWS.length - 1 - row}`, 'main', '-m', `merge ${row}`],
    ];
  }

  /** The steps that are left, to the first that fails. */
  async run(): Promise<Ran[]> {
    const ran: Ran[] = [];
    for (;;) {
      const [next] = this.#left;
      if (next === undefined) return ran;
      const one = await tarn(...next);
      ran.push(one);
      // One that had failed may have been done.
      if (one.code !== 0 && !/nothing to commit|has all of|up to date/.test(one.stderr)) return ran;
      this.#left.shift();
    }
  }
}

describe('a bucket behind a bad line', () => {
  it.each(ROWS.map((row, index) => ({ ...row, index })))(
    '$name: the right data or a clear error, and nothing is lost',
    async ({ rules, says, mayPass, index }) => {
      const name = `${index}.bin`;
      proxy.rules = rules;
      const startMs = performance.now();
      const steps = new Steps(index, await shell.file(`new-${index}`, `new ${index}`));
      const [isRead, got, changed, merged] = await Promise.all([
        readsRight(name),
        getsRight(name),
        steps.run(),
        says === undefined ? undefined : tarn('merge', 'drive/side', 'scratch'),
      ]);
      expect(performance.now() - startMs).toBeLessThan(COMMAND_S * 2000);
      const ran = [got, ...changed, ...(merged === undefined ? [] : [merged])];
      if (says === undefined) {
        expect(ran.map(({ stderr }) => stderr)).toEqual(ran.map(() => ''));
        expect(isRead).toBe(true);
      } else {
        for (const { code, stderr } of ran) {
          if (mayPass === true && code === 0) continue;
          expect(code).toBe(1);
          expect(stderr).toMatch(says);
          expect(stderr).toMatch(/\nhint: /);
        }
        if (mayPass !== true) expect(isRead).toBe(false);
      }

      proxy.rules = {};
      expect(await readsRight(name)).toBe(true);
      expect((await getsRight(name)).code).toBe(0);
      await steps.run();
      const log = await shell.jsonRows<{ message: string }>('log', 'drive/main');
      for (const message of [`row ${index}`, `merge ${index}`]) {
        expect(log.filter((each) => each.message === message)).toHaveLength(1);
      }
      expect(await shell.must('cat', `drive/main/new-${index}`)).toBe(`new ${index}`);
      expect(await shell.must('cat', `drive/main/side-${index}`)).toBe(`side ${index}`);
    },
    LONG_MS,
  );

  it(
    'what waits for a store that stalls ends with Ctrl-C, also in the middle of a read(2)',
    async () => {
      const contents = stalledAt('/files/');
      proxy.rules = { fault: contents.fault };
      const reading = spawn('cat', [`${frozen}/int.bin`], { stdio: ['ignore', 'ignore', 'pipe'] });
      const readingEnded = ended(reading);
      await contents.asked;
      reading.kill('SIGINT');
      expect(await readingEnded).toMatchObject({ signal: 'SIGINT' });
      const refs = stalledAt('/refs/');
      proxy.rules = { fault: refs.fault };
      const command = shell.start(['ls', 'drive/main']);
      const commandEnded = ended(command);
      await refs.asked;
      command.kill('SIGINT');
      expect(await commandEnded).toMatchObject({ code: 130, stderr: 'tarn: interrupted\n' });
    },
    LONG_MS,
  );

  it(
    'wrong bytes of a large file are fetched again, once, and counted; then they are a clear error',
    async () => {
      const healed = async (): Promise<number> => {
        const [drive] = await shell.jsonRows<StatsRow>('stats');
        return drive?.cache?.healed ?? -1;
      };
      const before = await healed();
      let first: number | undefined;
      const isOfFile = (line: string): boolean => isGet(line) && line.includes('/files/');
      proxy.rules = {
        fault: (request, line) => {
          if (isOfFile(line)) first ??= request;
          return request === first ? CORRUPT : undefined;
        },
      };
      expect(await readsRight('wrong.bin')).toBe(true);
      expect(first).toBeDefined();
      expect(await healed()).toBe(before + 1);
      proxy.rules = { fault: (_request, line) => (isOfFile(line) ? CORRUPT : undefined) };
      expect(await readsRight('never-right.bin')).toBe(false);
      const { code, stderr } = await getsRight('never-right.bin');
      expect(code).toBe(1);
      expect(stderr).toMatch(/object 'files\/.*' is corrupt: bytes \d+ to \d+ hash to .*\nhint: /);
      proxy.rules = {};
      expect(await readsRight('never-right.bin')).toBe(true);
    },
    LONG_MS,
  );

  it(
    'a command gives up after the time of --timeout, and says so',
    async () => {
      proxy.rules = { fault: always({ kind: 'stall' }) };
      const ran = await shell.tarn(['branch', 'list', 'drive', '--timeout', '0.3']);
      expect(ran).toMatchObject({ code: 1, stdout: '' });
      expect(ran.stderr).toContain('it was not done within 0.3 s');
      expect(ran.stderr).toContain('hint: ');
    },
    LONG_MS,
  );

  it.each(['--timeout', 'Ctrl-C'])(
    'what a command had begun is given up with it, by %s, and nothing is lost',
    async (how) => {
      const other = await Shell.open();
      try {
        // No limit of the daemon's own ends what is waited for here.
        const { storage } = await shell.json<{ storage: string }>('repo', 'show', 'drive');
        await other.tarn(['repo', 'add', storage], { env: { TARN_TIMEOUT: '600' } });
        const branch = how === 'Ctrl-C' ? 'stopped' : 'late';
        await other.must('branch', 'create', `drive/${branch}`);
        const file = await other.file('new', `by ${how}`);
        const steps = [
          { at: 'GET ', args: ['branch', 'list', 'drive'] },
          { at: '/packs/', args: ['put', file, `drive/${branch}/new`] },
          { at: `/refs/`, args: ['commit', `drive/${branch}`, '-m', 'new'] },
        ];
        for (const { at, args } of steps) {
          let isAsked = (): void => undefined;
          const asked = new Promise<void>((resolve) => (isAsked = resolve));
          const givenUp = new Promise<void>((resolve) => {
            const fault: Fault = (_request, line) => {
              if (!line.includes(at)) return undefined;
              isAsked();
              return { kind: 'stall', onGivenUp: resolve };
            };
            proxy.rules = { fault };
          });
          const command = other.start(how === 'Ctrl-C' ? args : [...args, '--timeout', '1']);
          const commandEnded = ended(command);
          await asked;
          if (how === 'Ctrl-C') command.kill('SIGINT');
          expect((await commandEnded).code).toBe(how === 'Ctrl-C' ? 130 : 1);
          await givenUp;
          proxy.rules = {};
          await other.must(...args);
        }
        expect(await other.must('cat', `drive/${branch}@/new`)).toBe(`by ${how}`);
      } finally {
        await other.dispose();
      }
    },
    LONG_MS,
  );

  it(
    'a store that is down is not hammered by many readers, and stats says that it is down',
    async () => {
      const before = proxy.requests;
      proxy.rules = { fault: always(failed) };
      const readers = Array.from({ length: 32 }, () => tarn('ls', 'drive/main~1'));
      const failures = await Promise.all(readers);
      expect(failures.every(({ code }) => code === 1)).toBe(true);
      // Six attempts each would be 192.
      expect(proxy.requests - before).toBeLessThan(64);
      const [drive] = await shell.jsonRows<StatsRow>('stats');
      expect(drive).toMatchObject({ openSince: expect.any(String) as string });
      proxy.rules = {};
      expect((await tarn('ls', 'drive/main')).code).toBe(0);
      const [well] = await shell.jsonRows<StatsRow>('stats');
      expect(well).not.toHaveProperty('openSince');
    },
    LONG_MS,
  );
});
