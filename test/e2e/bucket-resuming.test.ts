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
/** Nine parts of 8 MiB. */
const LOG_BYTES = 66 * MIB + 5;
const PARTS = 9;

const servers: StoreServer[] = [];
const proxies: SlowProxy[] = [];

beforeAll(ensureBuilt);
afterAll(async () => {
  for (const proxy of proxies) await proxy.stop();
  for (const server of servers) await server.stop();
});

/** The number of the part that a request carries; undefined when it is another request. */
function partOf(line: string): string | undefined {
  return /^PUT \S*?[?&](?:partNumber=(\d+)|.*blockid=([^& ]+))/.exec(line)?.slice(1).join('');
}

describe.each<StoreServerKind>(['moto', 'azurite'])('a large file on its way to %s', (kind) => {
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
        const log = await shell.file('run.mcap', randomBytes(LOG_BYTES));

        // The last part waits for ever. Six go at once, so that three have arrived when it is sent.
        const sent: string[] = [];
        let isStuck = (): void => undefined;
        const stuck = new Promise<void>((resolve) => (isStuck = resolve));
        const seen = (line: string): number => {
          const part = partOf(line);
          return part === undefined ? 0 : sent.push(part);
        };
        proxy.rules = {
          fault: (_request, line) => {
            const count = seen(line);
            if (count < PARTS) return undefined;
            isStuck();
            return { kind: 'stall' };
          },
        };
        const putting = shell.start(['put', log, 'drive/main/run.mcap']);
        const killed = ended(putting);
        await stuck;
        await shell.killAll();
        expect((await killed).code).not.toBe(0);

        sent.length = 0;
        proxy.rules = { fault: (_request, line) => (seen(line), undefined) };
        await shell.must('put', log, 'drive/main/run.mcap');
        expect(sent.length).toBeLessThanOrEqual(PARTS - 3);
        expect(new Set(sent).size).toBe(sent.length);
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
