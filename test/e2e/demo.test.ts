import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { ensureBuilt } from '../workspace/built.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LONG_MS = 120_000;

let scratch: string;

beforeAll(ensureBuilt);
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tarn-demo-test-'));
});
afterEach(async () => {
  await run(['scripts/tarn', 'umount', '--all', '--force']);
  await run(['scripts/tarn', 'daemon', 'stop']);
  await rm(scratch, { recursive: true, force: true });
});

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

function run(words: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const env = { ...process.env, TARN_HOME: join(scratch, 'home'), TMPDIR: scratch, ...more };
  const [program = '', ...args] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

describe('what shows the main job', () => {
  it(
    'runs in a bucket that is reached by endpoint, region and profile, and reads it from another home',
    async () => {
      const server = await startStoreServer('moto');
      try {
        await server.makeBucket();
        const credentials = join(scratch, 'credentials');
        await writeFile(
          credentials,
          '[lab]\naws_access_key_id = local\naws_secret_access_key = local-secret\n',
        );
        const { code, output } = await run(
          [
            ...['node', 'dist/scripts/demo.js', '--storage', 's3://bucket-1/fleet/drive'],
            ...['--endpoint', server.endpoint, '--region', 'us-east-1', '--profile', 'lab'],
          ],
          { AWS_SHARED_CREDENTIALS_FILE: credentials, AWS_EC2_METADATA_DISABLED: 'true' },
        );
        expect(code, output).toBe(0);
        expect(output).toContain("created repository 'drive-s3' in s3://bucket-1/fleet/drive?");
        expect(output).toContain('in golden: version: 7');
        expect(output).toContain('merged relabel-glare: 0 added, 1 changed, 0 removed');
        expect(output).toContain("added repository 'drive-s3' in s3://bucket-1/fleet/drive?");
        expect(output).toContain('read there, through its mount: 2600 messages');
      } finally {
        await server.stop();
      }
    },
    LONG_MS,
  );

  it(
    'has a store of this machine beside it, which ends with the command',
    async () => {
      const { code, output } = await run([
        ...['node', 'dist/scripts/local-store.js', 'az', 'bash', '-c'],
        'scripts/tarn repo create drive --storage "$0" && scripts/tarn doctor drive; exit 7',
        '{}',
      ]);
      expect(code, output).toBe(7);
      expect(output).toContain("created repository 'drive' in az://bucket-1/drive?");
      expect(output).toContain('conditional writes');
      const refused = await run(['node', 'dist/scripts/local-store.js', 'ftp']);
      expect(refused).toEqual({ code: 2, output: 'local-store [s3|gs|az] [COMMAND…]\n' });
    },
    LONG_MS,
  );
});
