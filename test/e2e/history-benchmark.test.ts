import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';

const BENCHMARK = fileURLToPath(new URL('../../dist/scripts/bench/history.js', import.meta.url));
const FILES = 2_000;

const scratch = mkdtempSync(join(tmpdir(), 'tarn-history-benchmark-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Measured {
  readonly operation: string;
  readonly files: number;
  readonly value: number;
}

async function run(only: readonly string[]): Promise<Measured[]> {
  const names = only.flatMap((name) => ['--only', name]);
  const args = ['--keep', join(scratch, 'kept'), '--files', String(FILES), '--json', ...names];
  const { stdout } = await promisify(execFile)(process.execPath, [BENCHMARK, ...args]);
  return (JSON.parse(stdout) as { figures: Measured[] }).figures;
}

it('measures what the daemon answers today, and again on the repository that it built', async () => {
  const names = [
    'branches',
    'commits',
    'changes',
    'lookups',
    'lists',
    'merges',
    'totals',
    'import',
  ];
  const first = await run(names);
  expect(first.every(({ files, value }) => files === FILES && value > 0)).toBe(true);
  const operations = first.map(({ operation }) => operation);
  for (const operation of ['build', 'commit of 1 changed file', 'diff of 1 changes']) {
    expect(operations).toContain(operation);
  }
  const again = await run(['lists']);
  const listed = again.map(({ operation }) => operation);
  expect(listed).toEqual(['list a directory of 1,000', 'peak memory']);
}, 120_000);
