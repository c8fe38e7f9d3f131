import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SlowProxy } from '../../scripts/lib/slow-proxy.js';
import { startSlowProxy } from '../../scripts/lib/slow-proxy.js';
import type { StoreServer, StoreServerKind } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { ended, Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 120_000;
const MIB = 1_048_576;
/** How many parts make the log, and which one waits for ever: by then the ones before it have arrived. */
const STORES = [
  { kind: 'moto', bytes: 66 * MIB + 5, parts: 9, stuck: 9, arrived: 3 },
  { kind: 'azurite', bytes: 66 * MIB + 5, parts: 9, stuck: 9, arrived: 3 },
  // One after the other.
  { kind: 'fake-gcs', bytes: 33 * MIB, parts: 3, stuck: 2, arrived: 1 },
] as const satisfies readonly { kind: StoreServerKind; [count: string]: string | number }[];

const servers: StoreServer[] = [];
const proxies: SlowProxy[] = [];

beforeAll(ensureBuilt);
afterAll(async () => {
  for (const proxy of proxies) await proxy.stop();
  for (const server of servers) await server.stop();
});

/** Whether a request carries a part. */
function isPart(line: string): boolean {
  return /^PUT \S*?[?&](?:partNumber=|.*blockid=|.*upload_id=)/.test(line);
}

describe.each(STORES)('a large file on its way to $kind', (row) => {
  const { kind, bytes, parts, stuck, arrived } = row;
  it(
    'is sent on by the next put when the daemon was killed, without the parts that had arrived',
    async () => {
      const server = await startStoreServer(kind);
      servers.push(server);
      Object.assign(process.env, server.environment);
      const proxy = await startSlowProxy(server.endpoint);
      proxies.push(proxy);
      const bucket = new URL(await server.makeBucket());
      const endpoint = bucket.searchParams.get('endpoint') ?? '';
      bucket.searchParams.set('endpoint', endpoint.replace(server.endpoint, proxy.endpoint));
      const storage = bucket.href.replace('?', '/drive?');
      const shell = await Shell.open();
      try {
        await shell.must('repo', 'create', 'drive', '--storage', storage);
        const log = await shell.file('run.mcap', randomBytes(bytes));

        let sent = 0;
        let isStuck = (): void => undefined;
        const waits = new Promise<void>((resolve) => (isStuck = resolve));
        proxy.rules = {
          fault: (_request, line) => {
            if (isPart(line)) sent += 1;
            if (sent < stuck) return undefined;
            isStuck();
            return { kind: 'stall' };
          },
        };
        const putting = shell.start(['put', log, 'drive/main/run.mcap']);
        const killed = ended(putting);
        await waits;
        await shell.killAll();
        expect((await killed).code).not.toBe(0);

        sent = 0;
        proxy.rules = { fault: (_request, line) => ((sent += isPart(line) ? 1 : 0), undefined) };
        await shell.must('put', log, 'drive/main/run.mcap');
        expect(sent).toBeGreaterThan(0);
        expect(sent).toBeLessThanOrEqual(parts - arrived);
        await shell.must('commit', 'drive/main', '-m', 'a log');
        const back = shell.path('back.mcap');
        await shell.must('get', 'drive/main/run.mcap', back);
        expect(Buffer.compare(await readFile(back), await readFile(log))).toBe(0);
      } finally {
        await shell.dispose();
      }
    },
    LONG_MS,
  );
});
