import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/model/entry.js';
import type { NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import { boundaryHash } from '../../src/tree/boundary.js';
import { decodeNode } from '../../src/tree/decode.js';
import { InnerEncoder, LeafEncoder } from '../../src/tree/encode.js';
import { buildTree } from '../../src/tree/write.js';
import { file, hashOf, key, MemoryNodes, nodesOver, packOf } from './fixtures.js';
import { common, sampleItems, small } from './sample.js';

/** Lines of up to 32 bytes in hex. Written anew only by UPDATE_GOLDEN=1, which a review must see. */
function golden(name: string, actual: Uint8Array): Buffer {
  const url = new URL(`./golden/${name}.hex`, import.meta.url);
  if (process.env['UPDATE_GOLDEN'] === '1') {
    const lines =
      Buffer.from(actual)
        .toString('hex')
        .match(/.{1,64}/g) ?? [];
    writeFileSync(url, `${lines.join('\n')}\n`);
  }
  return Buffer.from(readFileSync(url, 'utf8').replaceAll('\n', ''), 'hex');
}

describe('the node format', () => {
  it('is for a leaf of one file what FORMAT.md says', () => {
    const encoder = new LeafEncoder();
    const entry: Entry = {
      ...common,
      mtimeSec: 3,
      mtimeNsec: 7,
      mode: 0o600,
      size: 300,
      content: small,
      address: { kind: 'packed', pack: packOf('A'), offset: 5 },
    };
    encoder.append(key('a/b'), entry);
    const expected = [
      '74726e74 02 00 0100 0000 01000000 0100000000000000 2c01000000000000',
      `0600000000000000 ${packOf('A')}`,
      '00 03 612f62',
      `1a ac02 00 8001 07000000 ${hashOf('small')} 00 0a`,
    ];
    expect(encoder.finish().bytes.toString('hex')).toBe(expected.join('').replaceAll(' ', ''));
  });

  it('is for an inner node of two children what FORMAT.md says', () => {
    const encoder = new InnerEncoder(2);
    const [first, second] = [hashOf('first') as NodeId, hashOf('second') as NodeId];
    encoder.append(key('run/1'), { id: first, entries: 1, bytes: 300 });
    encoder.append(key('run/2'), { id: second, entries: 2, bytes: 0 });
    const expected = [
      '74726e74 02 02 0000 0000 02000000 0300000000000000 2c01000000000000',
      `00 05 72756e2f31 ${first} 01 ac02`,
      `04 01 32 ${second} 02 00`,
    ];
    expect(encoder.finish().bytes.toString('hex')).toBe(expected.join('').replaceAll(' ', ''));
  });

  it('gives the golden leaf, and reads it back', () => {
    const encoder = new LeafEncoder();
    for (const { key: k, entry } of sampleItems()) encoder.append(k, entry);
    const bytes = encoder.finish().bytes;
    expect(bytes).toEqual(golden('leaf', bytes));
    const leaf = decodeNode(sha256(bytes) as NodeId, bytes);
    if (leaf.kind !== 'leaf') throw new Error('expected a leaf');
    const read = sampleItems().map((_, i) => ({ key: leaf.keyAt(i), entry: leaf.valueAt(i) }));
    expect(read).toEqual(sampleItems());
  });

  it('gives the golden empty tree', async () => {
    const store = new MemoryNodes();
    const { id } = await buildTree(nodesOver(store), []);
    expect(store.nodes.get(id)).toEqual(golden('empty', store.nodes.get(id) as Uint8Array));
  });

  it('gives the golden tree of 20,000 files, whose root names every boundary', async () => {
    const store = new MemoryNodes();
    const items = Array.from({ length: 20_000 }, (_, i) => ({
      key: key(`raw/run-${String(Math.floor(i / 500))}/frame-${String(i).padStart(6, '0')}.jpg`),
      entry: file(i),
    })).sort((a, b) => (a.key < b.key ? -1 : 1));
    const { id } = await buildTree(nodesOver(store), [items]);
    expect(store.nodes.get(id)).toEqual(golden('root', store.nodes.get(id) as Uint8Array));
  });
});

describe('the boundary hash', () => {
  it('gives the values in FORMAT.md', () => {
    const hashes = ['', 'a', 'raw/run-8421/frame-000001.jpg', '\xff'].map((text) =>
      boundaryHash(key(text), 0).toString(16),
    );
    expect(hashes).toMatchInlineSnapshot(`
      [
        "578ab1b",
        "956e1d12",
        "4840868e",
        "4957cfb0",
      ]
    `);
    expect(boundaryHash(key('a'), 1).toString(16)).toMatchInlineSnapshot(`"b9608bd"`);
  });

  it('spreads sequential keys evenly', () => {
    const buckets = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) {
      const bucket = boundaryHash(key(`frame-${String(i).padStart(6, '0')}`), 0) >>> 28;
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
