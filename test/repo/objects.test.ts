import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '../../src/model/ids.js';
import type { NodeId } from '../../src/model/ids.js';
import { nodeKey } from '../../src/repo/layout.js';
import { ObjectNodeStore } from '../../src/repo/objects.js';
import { contentFixture, faultOf, noise } from './content-fixture.js';
import type { ContentFixture } from './content-fixture.js';

let fixture: ContentFixture;
let nodes: ObjectNodeStore;
beforeEach(async () => {
  fixture = await contentFixture();
  nodes = new ObjectNodeStore(fixture.store);
});
afterEach(() => fixture.dispose());

const bytes = noise(5000, 1);
const id = sha256(bytes) as NodeId;

test('a node is loaded as it was saved, and saving it again is no error', async () => {
  await Promise.all([nodes.save(id, bytes), nodes.save(id, bytes)]);
  await nodes.save(id, bytes);
  expect(Buffer.compare(await nodes.load(id), bytes)).toBe(0);
  expect(readdirSync(join(fixture.directory, 'store', 'tmp'))).toEqual([]);
});

test('saving heals a node that was truncated', async () => {
  await nodes.save(id, bytes);
  truncateSync(fixture.store.localPath(nodeKey(id)), 100);
  await nodes.save(id, bytes);
  expect(Buffer.compare(await nodes.load(id), bytes)).toBe(0);
});

test('a missing node is named; a signal ends both calls', async () => {
  const fault = await faultOf(nodes.load(id));
  expect(fault.kind).toBe('not-found');
  expect(fault.message).toContain(nodeKey(id));
  const signal = AbortSignal.abort();
  expect((await faultOf(nodes.load(id, signal))).kind).toBe('aborted');
  expect((await faultOf(nodes.save(id, bytes, signal))).kind).toBe('aborted');
});
