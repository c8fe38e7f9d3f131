import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ProxyRules, SlowProxy } from '../../scripts/lib/slow-proxy.js';
import { startSlowProxy } from '../../scripts/lib/slow-proxy.js';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 120_000;

const servers: StoreServer[] = [];
const proxies: SlowProxy[] = [];
const shells: Shell[] = [];

beforeAll(ensureBuilt);
beforeAll(async () => {
  servers.push(await startStoreServer('moto'), await startStoreServer('s3s-fs'));
  for (const { environment } of servers) Object.assign(process.env, environment);
}, LONG_MS);
afterEach(async () => {
  for (const shell of shells.splice(0)) await shell.dispose();
}, LONG_MS);
afterAll(async () => {
  for (const proxy of proxies) await proxy.stop();
  for (const server of servers) await server.stop();
});

describe('stores, as tarn judges them', () => {
  it(
    'doctor proves that the bucket of a repository honours conditional writes',
    async () => {
      const shell = await Shell.open();
      shells.push(shell);
      const storage = (await servers[0]?.makeBucket()) ?? '';
      await shell.must('repo', 'create', 'drive', '--storage', storage);
      await shell.must('put', await shell.file('log'), 'drive/main/log');
      await shell.must('commit', 'drive/main', '-m', 'log');
      const { stdout } = await shell.tarn(['doctor', 'drive', '--json']);
      expect(stdout).toContain('1 entry is readable, all can be mounted');
      const lines = stdout.split('\n').filter((line) => line !== '');
      const rows = lines.map((line) => JSON.parse(line) as object);
      for (const check of ['rights', 'listing', 'conditional writes', 'latency', 'clock']) {
        expect(rows).toContainEqual(expect.objectContaining({ check, state: 'ok' }));
      }
    },
    LONG_MS,
  );

  it(
    'doctor names each right that is missing, and says what it is called',
    async () => {
      const shell = await Shell.open();
      shells.push(shell);
      const [server] = servers;
      const proxy = await startSlowProxy(server?.endpoint ?? '');
      proxies.push(proxy);
      const [bucket = ''] = ((await server?.makeBucket()) ?? '').split('?');
      const options = ['--endpoint', proxy.endpoint, '--region', 'us-east-1'];
      await shell.must('repo', 'create', 'drive', '--storage', `${bucket}/drive`, ...options);
      const judged = async (refused: RegExp, code = 'AccessDenied'): Promise<string[]> => {
        const fault: ProxyRules['fault'] = (_request, line) =>
          refused.test(line) ? { kind: 'error', status: 403, code } : undefined;
        proxy.rules = { fault };
        const { stdout, code: exit } = await shell.tarn(['doctor', 'drive']);
        expect(exit).toBe(stdout.includes('FAIL') ? 1 : 0);
        return stdout.slice(stdout.indexOf('repository drive')).split('\n');
      };
      const listing = /^GET \S*list-type/;
      const unlisted = (await judged(listing)).join('\n');
      expect(unlisted).toMatch(/FAIL {2}rights: objects cannot be listed: .*AccessDenied/);
      expect(unlisted).toContain('of s3:ListBucket');
      expect(unlisted).toMatch(/ok {4}conditional writes/);
      expect(unlisted).toMatch(/FAIL {2}branches: the store refuses/);
      const reader = (await judged(/^(PUT|DELETE) /)).join('\n');
      expect(reader).toMatch(/warn {2}rights: objects cannot be put or deleted: /);
      expect(reader).toContain('of s3:PutObject and s3:DeleteObject');
      expect(reader).toMatch(/ok {4}branch main: 0 entries are readable/);
      const keeper = (await judged(/^DELETE /)).join('\n');
      expect(keeper).toMatch(/warn {2}rights: objects cannot be deleted: /);
      expect(keeper).toMatch(/ok {4}clock/);
      const stranger = await judged(/./, 'InvalidAccessKeyId');
      expect(stranger[1]).toMatch(/FAIL {2}store: the store refuses; writing .*InvalidAccessKeyId/);
      expect(stranger).toHaveLength(4);
    },
    LONG_MS,
  );

  it(
    'no repository is made in a store that lets several conditional puts succeed',
    async () => {
      const shell = await Shell.open();
      shells.push(shell);
      const storage = (await servers[1]?.makeBucket()) ?? '';
      const refused = await shell.tarn(['repo', 'create', 'drive', '--storage', storage]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("'s3://bucket-1' does not honour conditional writes");
    },
    LONG_MS,
  );
});
