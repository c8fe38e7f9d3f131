import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import type { Authority, Recorder } from '../store/settings/recorder.js';
import { makeAuthority, startRecorder } from '../store/settings/recorder.js';
import { ensureBuilt } from '../workspace/built.js';
import { Sandbox } from './sandbox.js';

const LONG_MS = 60_000;

let server: StoreServer;
let secure: Recorder;
let authority: Authority;
let sandbox: Sandbox;

beforeAll(ensureBuilt);
beforeAll(async () => {
  sandbox = await Sandbox.create();
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
  await mkdir(sandbox.path('authority'));
  authority = await makeAuthority(sandbox.path('authority'), ['127.0.0.1']);
  secure = await startRecorder({ target: server.endpoint, certificate: authority });
}, LONG_MS);
afterAll(async () => {
  delete process.env['NODE_EXTRA_CA_CERTS'];
  await sandbox.dispose();
  await secure.stop();
  await server.stop();
}, LONG_MS);

describe('a bucket behind an authority that nobody else knows', () => {
  it(
    'is trusted by the option ca-file, or by what NODE_EXTRA_CA_CERTS names, and not without',
    async () => {
      await server.makeBucket();
      const storage = `s3://bucket-1/drive?endpoint=${secure.endpoint}`;
      const refused = await sandbox.tryTarn('repo', 'create', 'drive', '--storage', storage);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('not a trusted server');
      expect(refused.stderr).toContain('with the option ca-file');
      expect(secure.received).toEqual([]);
      const named = `${storage}&ca-file=${authority.file}`;
      await sandbox.tarn('repo', 'create', 'drive', '--storage', named);
      await sandbox.tarn('daemon', 'stop');
      process.env['NODE_EXTRA_CA_CERTS'] = authority.file;
      const other = storage.replace('/drive?', '/other?');
      await sandbox.tarn('repo', 'create', 'other', '--storage', other);
    },
    LONG_MS,
  );
});
