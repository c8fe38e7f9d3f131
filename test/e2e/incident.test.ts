import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/incident.md'), 'utf8');

let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'tarn-incident-'));
});

afterAll(async () => {
  await bash('scripts/tarn umount --all --force; scripts/tarn daemon stop', ROOT);
  rmSync(scratch, { recursive: true, force: true });
});

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

function bash(script: string, cwd: string): Promise<Ran> {
  const env = {
    ...process.env,
    TARN_HOME: join(scratch, 'home'),
    TMPDIR: scratch,
    LC_ALL: 'C.UTF-8',
  };
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], { cwd, env });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

it('the commands of the page about the glare incident run as written', async () => {
  const blocks = [...PAGE.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
  const { code, output } = await bash(blocks.join('\n'), ROOT);
  expect(output).not.toMatch(/TypeError|internal/);
  expect(code, output).toBe(0);
  expect(output).toContain('refused with 1');
  expect(output).toContain('refused with 3');
  expect(output).toMatch(/"calibration":"v7".*"phantomBrakes":1/);
  expect(output).toMatch(/"calibration":"v8".*"phantomBrakes":0/);
  expect(output).toContain('Calibration v7');
}, 120_000);
