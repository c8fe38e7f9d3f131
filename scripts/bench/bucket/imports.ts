import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startStoreServer, type StoreServer } from '../../lib/store-servers.js';
import type { Lab } from '../lab.js';
import type { Measurement } from '../report.js';

const execute = promisify(execFile);
const RAW_CLIENT = fileURLToPath(new URL('./raw-client.js', import.meta.url));
const FILLED_STORE = fileURLToPath(new URL('./filled-store.js', import.meta.url));
const BUCKET = 'fleet-logs';
/** Listings that tarn has under way at a time. */
const AT_ONCE = 16;

/** An import of many objects, beside listing them with the SDK alone. */
export async function imports(lab: Lab, count: number): Promise<Measurement[]> {
  const server = await startStoreServer('moto', {
    command: (port) => [process.execPath, FILLED_STORE, String(port), String(count)],
  });
  try {
    Object.assign(lab.environment, server.environment);
    await lab.tarn('repo', 'create', 'drive');
    const raw = await listed(server, lab);
    const tarn = await lab.time(() =>
      lab.tarn(
        ...['import', `s3://${BUCKET}/raw/`, 'drive/main/raw'],
        ...['--endpoint', server.endpoint, '--region', 'us-east-1'],
      ),
    );
    await checkAll(lab, count);
    const workload = `import of ${count.toLocaleString('en')} objects; beside listing them, ${AT_ONCE} at once`;
    const daemonMib = await lab.daemonPeakMib();
    const { driver } = lab;
    return [{ workload, driver, unit: 's', disk: raw, tarn, daemonMib, goal: 1.2 }];
  } finally {
    await lab.tarn('daemon', 'stop');
    await server.stop();
  }
}

/** Seconds. */
async function listed({ endpoint }: StoreServer, lab: Lab): Promise<number> {
  const args = ['list', endpoint, BUCKET, 'raw/', String(AT_ONCE)];
  const env = { ...process.env, ...lab.environment };
  const { stdout } = await execute(process.execPath, [RAW_CLIENT, ...args], { env });
  return Number(stdout);
}

async function checkAll(lab: Lab, count: number): Promise<void> {
  const { entries } = JSON.parse(await lab.tarn('du', 'drive/main/raw', '--json')) as {
    entries: number;
  };
  if (entries !== count) throw new Error(`${entries} of ${count} objects were imported`);
}
