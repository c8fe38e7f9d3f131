import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { rehearseRequest } from '../../src/store/open-bucket.js';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tarn-rehearsed-'));
  vi.stubEnv('TMPDIR', root);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

test('a first request is rehearsed also where nothing can be written', async () => {
  vi.stubEnv('TMPDIR', join(root, 'missing', 'x'.repeat(120)));
  await rehearseRequest('s3');
});

test('a first request is rehearsed without asking anybody, and leaves nothing behind', async () => {
  // Whoever asked through it, or for credentials, would be refused.
  vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1');
  vi.stubEnv('AWS_PROFILE', 'nobody');
  await rehearseRequest('s3');
  expect(await readdir(root)).toEqual([]);
});
