/**
 * scripts/local-store [s3|gs|az] [COMMAND…]
 *
 * Starts a store that speaks the protocol of the cloud on the loopback address and keeps everything in
 * memory, and runs the command with a home directory and credentials for it: a shell, unless one is
 * given. In the words of the command `{}` is the URL of a repository in it, which TARN_STORE_URL is
 * too. Store and home are gone when the command ends, whose exit code is the answer.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startStoreServer } from './lib/store-servers.js';

const TARN = fileURLToPath(new URL('../../scripts/tarn', import.meta.url));
const SERVERS = { s3: 'moto', gs: 'fake-gcs', az: 'azurite' } as const;

const [cloud = 's3', ...given] = process.argv.slice(2);
// A Ctrl-C is for the command, which has it from the terminal; what was started for it ends after it.
process.on('SIGINT', () => undefined);
if (isCloud(cloud)) {
  process.exitCode = await besideStore(SERVERS[cloud], given);
} else {
  console.error('local-store [s3|gs|az] [COMMAND…]');
  process.exitCode = 2;
}

function isCloud(word: string): word is keyof typeof SERVERS {
  return Object.hasOwn(SERVERS, word);
}

async function besideStore(
  kind: (typeof SERVERS)[keyof typeof SERVERS],
  command: readonly string[],
): Promise<number> {
  const server = await startStoreServer(kind);
  const home = await mkdtemp(join(tmpdir(), 'tarn-local-store-'));
  try {
    const url = (await server.makeBucket()).replace(/(?=\?|$)/, '/drive');
    const env = { ...server.environment, TARN_HOME: home, TARN_STORE_URL: url };
    const [program = 'bash', ...args] = command.length > 0 ? command : shell(kind, url);
    return await run(
      program,
      args.map((word) => (word === '{}' ? url : word)),
      env,
    );
  } finally {
    await run(TARN, ['umount', '--all', '--force'], { TARN_HOME: home }, 'ignore');
    await run(TARN, ['daemon', 'stop'], { TARN_HOME: home }, 'ignore');
    await rm(home, { recursive: true, force: true });
    await server.stop();
  }
}

function shell(kind: string, url: string): string[] {
  console.log(`${kind} runs until this shell ends. A repository can be made in it:`);
  console.log(`  scripts/tarn repo create drive --storage '${url}'`);
  return [process.env['SHELL'] ?? 'bash'];
}

/** The exit code; 1 when a signal ended it. */
function run(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  stdio: 'inherit' | 'ignore' = 'inherit',
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, ...environment }, stdio });
    const end = (): void => void child.kill();
    process.once('SIGTERM', end);
    child.once('error', reject);
    child.once('close', (code) => {
      process.off('SIGTERM', end);
      resolve(code ?? 1);
    });
  });
}
