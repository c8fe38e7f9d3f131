import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 120_000;

const servers: StoreServer[] = [];
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
      const { stdout } = await shell.tarn(['doctor', 'drive', '--json']);
      const lines = stdout.split('\n').filter((line) => line !== '');
      const rows = lines.map((line) => JSON.parse(line) as object);
      for (const check of ['rights', 'listing', 'conditional writes', 'latency', 'clock']) {
        expect(rows).toContainEqual(expect.objectContaining({ check, state: 'ok' }));
      }
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
