import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Address, FileEntry } from '../../src/model/entry.js';
import type { NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import { pinnedContentId, URL_BYTES_MAX } from '../../src/model/imported.js';
import type { Key } from '../../src/model/path.js';
import { keyFromText } from '../../src/model/path.js';
import { ByteWriter } from '../../src/tree/bytes.js';
import { decodeNode } from '../../src/tree/decode.js';
import { diffTrees } from '../../src/tree/diff.js';
import { LeafEncoder } from '../../src/tree/encode.js';
import { sourceOf, urlOf } from '../../src/tree/sources.js';
import { buildTree } from '../../src/tree/write.js';
import { hashOf, key, MemoryNodes, nodesOver } from './fixtures.js';
import { common, small } from './sample.js';

const pin = { kind: 'mtime', mtimeSec: common.mtimeSec, mtimeNsec: common.mtimeNsec } as const;

function pinned(url: string, size = 300): FileEntry {
  const address: Address = { kind: 'imported', url, pin };
  return { ...common, size, content: pinnedContentId(url, size, pin), address };
}

function leafOf(items: readonly (readonly [string, FileEntry])[]): Buffer {
  const encoder = new LeafEncoder();
  for (const [path, entry] of items) encoder.append(keyFromText(path), entry);
  return encoder.finish().bytes;
}

describe('the source of an imported file', () => {
  it.each([
    ['raw/run-8421/front/1.jpg', 'file:///data/run-8421/front/1.jpg', 4, 'file:///data/'],
    ['glare/front/1.jpg', 'file:///data/run-8421/front/1.jpg', 6, 'file:///data/run-8421/'],
    ['glare.jpg', 'file:///data/run-8421/front/1.jpg', 9, 'file:///data/run-8421/front/1.jpg'],
    ['data/1.jpg', 'file:///data/1.jpg', 0, 'file:///'],
    ['my-data/1.jpg', 'file:///data/1.jpg', 8, 'file:///data/'],
    ['run/a//1.jpg', 'file:///b//1.jpg', 6, 'file:///b/'],
  ])('of %s from %s is told by one row alone', (path, url, cut, base) => {
    expect(sourceOf(key(path), url)).toEqual({ cut, base });
  });

  it('gives the URL back, and no other cut begins components in both with more in common', () => {
    const text = fc.array(fc.constantFrom('a', 'b', '/', 'é', '//'), { maxLength: 8 });
    const joined = text.map((parts) => parts.join(''));
    fc.assert(
      fc.property(joined, joined, joined, (front, base, rest) => {
        const path = keyFromText(`k${front}/${rest}`);
        const url = `file:///${base}/${rest}`;
        const source = sourceOf(path, url);
        expect(urlOf(source, path)).toBe(url);
        const bytes = keyFromText(url);
        const cuts = Array.from(path, (_, i) => i).filter(
          (cut) =>
            (cut === 0 || path[cut - 1] === '/') && bytes.slice(1).endsWith(`/${path.slice(cut)}`),
        );
        expect(source.cut).toBe(cuts[0] ?? path.length);
      }),
      { seed: 8421, numRuns: 500 },
    );
  });

  it('costs a byte for each file of a folder, also below another name', () => {
    const names = Array.from({ length: 17 }, (_, i) => `front/${String(i).padStart(4, '0')}.jpg`);
    for (const folder of ['raw/run-8421/', 'glare/']) {
      const items = names.map(
        (name) => [`${folder}${name}`, pinned(`file:///data/run-8421/${name}`)] as const,
      );
      const bytes = leafOf(items);
      const leaf = decodeNode(sha256(bytes) as NodeId, bytes);
      expect(leaf.kind === 'leaf' && leaf.sources).toHaveLength(1);
      expect(items.map(([, entry]) => entry)).toEqual(items.map((_, i) => leaf.valueAt(i)));
      // Shared, length and bytes of the key; flags, size, time and the row.
      const last = leaf.bytes.length - leaf.offsetOf(15);
      expect(leaf.offsetOf(15) - leaf.offsetOf(14)).toBe(2 + 'X.jpg'.length + 1 + 2 + 1 + 1);
      expect(last).toBeLessThan(200);
    }
  });
});

describe('an imported entry', () => {
  const url = 'file:///data/1.jpg';
  it.each<[string, Partial<FileEntry>, RegExp]>([
    [
      'a URL that is too long',
      { address: { kind: 'imported', url: 'x'.repeat(URL_BYTES_MAX + 1), pin } },
      /URL of 4353 bytes/,
    ],
    ['no URL', { address: { kind: 'imported', url: '', pin } }, /from nowhere/],
    ['broken text', { address: { kind: 'imported', url: '\ud800', pin } }, /not valid Unicode/],
    [
      'nanoseconds out of range',
      { address: { kind: 'imported', url, pin: { ...pin, mtimeNsec: -1 } } },
      /nanoseconds/,
    ],
    [
      'no ETag',
      { address: { kind: 'imported', url, pin: { kind: 'object', etag: '' } } },
      /empty ETag/,
    ],
    [
      'too long a version',
      {
        address: {
          kind: 'imported',
          url,
          pin: { kind: 'object', etag: 'e', version: 'v'.repeat(1_025) },
        },
      },
      /version of 1025 bytes/,
    ],
    ['no import, but a pinned id', { address: { kind: 'whole' } }, /is not imported/],
    ['no bytes', { size: 0 }, /0 bytes at an address/],
  ])('with %s is refused', (_, change, message) => {
    expect(() => leafOf([['a/1.jpg', { ...pinned(url), ...change }]])).toThrowError(message);
  });
});

/** A leaf of one entry that was imported, its table and item written by hand. */
function handMade(
  rows: readonly (readonly [number, string])[],
  path: string,
  value: (out: ByteWriter) => void = (out) => out.u8(0),
  flags = 5,
): Buffer {
  const out = new ByteWriter(16_384);
  out.u32(0x746e7274);
  out.u8(2);
  out.u8(0);
  out.u16(0);
  out.u16(rows.length);
  out.u32(1);
  out.u53(1);
  out.u53(9);
  out.u53(0);
  for (const [cut, base] of rows) {
    out.uvarint(cut);
    out.uvarint(base.length);
    out.length += out.bytes.write(base, out.length, 'latin1');
  }
  out.u8(0);
  out.uvarint(path.length);
  out.length += out.bytes.write(path, out.length, 'latin1');
  out.u8(flags);
  out.u8(9);
  out.u8(0);
  value(out);
  return out.bytes.subarray(0, out.length);
}

describe('a leaf with sources that is not canonical', () => {
  const decode = (bytes: Buffer): unknown => decodeNode(sha256(bytes) as NodeId, bytes).valueAt(0);

  it('is read when it is as it must be', () => {
    expect(decode(handMade([[2, 'file:///']], 'b/a'))).toMatchObject({
      address: { url: 'file:///a', pin: { mtimeSec: 0, mtimeNsec: 0 } },
    });
    const hash = (out: ByteWriter): void => void (out.hash(hashOf('x')), out.u8(0));
    expect(decode(handMade([[2, 'file:///']], 'b/a', hash, 6))).toMatchObject({
      content: `sha256:${hashOf('x')}`,
    });
    expect(small).toMatch(/^sha256:/);
  });

  const pinOf =
    (kind: number, sec: number, nsec: number) =>
    (out: ByteWriter): void => {
      out.u8(0);
      out.u8(kind);
      out.zigzag(sec);
      out.u32(nsec);
    };
  const objectPin =
    (etag: string, version: string) =>
    (out: ByteWriter): void => {
      out.u8(0);
      out.u8(1);
      for (const text of [etag, version]) {
        out.uvarint(text.length);
        out.length += out.bytes.write(text, out.length, 'latin1');
      }
    };
  const url = 's3://logs/a';
  const good = [[2, 'file:///']] as const;
  it.each<[string, Buffer, string?]>([
    ['a cut inside of a component', handMade([[1, 'file:///b']], 'b/a')],
    ['a base that ends inside of a component', handMade([[2, 'file:///c']], 'b/a')],
    ['less in common than there is', handMade([[2, 'file:///b/']], 'b/a')],
    ['nothing in common where there is', handMade([[3, 'file:///a']], 'b/a')],
    ['a cut behind the key', handMade([[4, 'file:///x']], 'b/a')],
    ['an empty base', handMade([[2, '']], 'b/a')],
    ['a base that is not UTF-8', handMade([[3, 'file:///\xff']], 'b/a')],
    ['a key that makes no UTF-8', handMade([[2, 'file:///']], 'b/\xff')],
    ['too long a URL', handMade([[2, `${'x'.repeat(URL_BYTES_MAX - 1)}/`]], 'b/a')],
    ['a row that nothing uses', handMade([...good, [3, 'x']], 'b/a')],
    ['a row twice', handMade([...good, ...good], 'b/a')],
    ['a row that is not there', handMade(good, 'b/a', (out) => out.u8(1))],
    ['a pin that is the entry’s time', handMade(good, 'b/a', pinOf(0, 0, 0), 5 + 64)],
    ['a pin out of range', handMade(good, 'b/a', pinOf(0, 1, 1_000_000_000), 5 + 64)],
    ['a pin of a newer tarn', handMade(good, 'b/a', pinOf(2, 1, 1), 5 + 64), 'unsupported'],
    ['an object without an ETag', handMade(good, 'b/a', objectPin('', 'v1'), 5 + 64)],
    ['too long an ETag', handMade(good, 'b/a', objectPin('e'.repeat(1_025), ''), 5 + 64)],
    ['too long a version', handMade(good, 'b/a', objectPin('e', 'v'.repeat(1_025)), 5 + 64)],
    ['an ETag that is not UTF-8', handMade(good, 'b/a', objectPin('\xff', ''), 5 + 64)],
    ['a pin of what was not imported', handMade([], 'b/a', pinOf(0, 1, 1), 1 + 64)],
  ])('is refused for %s', (_, bytes, kind = 'corrupt') => {
    expect(() => decode(bytes)).toThrowError(expect.objectContaining({ kind }));
  });

  it('states a pin only where it is not the time of the entry', () => {
    expect(decode(handMade(good, 'b/a', pinOf(0, -3, 7), 5 + 64))).toMatchObject({
      mtimeSec: 0,
      address: { pin: { mtimeSec: -3, mtimeNsec: 7 } },
    });
  });

  it.each<[string, string, object]>([
    ['with a version', 'v1', { kind: 'object', etag: 'e1', version: 'v1' }],
    ['without versions', '', { kind: 'object', etag: 'e1' }],
  ])('has the pin of an object %s as FORMAT.md says', (_, version, expected) => {
    const rows = [[2, 's3://logs?region=eu/']] as const;
    const bytes = handMade(rows, 'b/a', objectPin('e1', version), 5 + 64);
    expect(decode(bytes)).toMatchObject({ address: { url: 's3://logs?region=eu/a' } });
    expect(decode(bytes)).toHaveProperty('address.pin', expected);
    const text = `object 2 ${version.length} e1${version}\n9\ns3://logs?region=eu/a`;
    expect(decode(bytes)).toMatchObject({ content: `pinned:${sha256(Buffer.from(text))}` });
    const encoder = new LeafEncoder();
    const weight = encoder.append('b/a' as Key, decode(bytes) as FileEntry);
    expect(encoder.finish().bytes).toEqual(bytes);
    expect(weight).toBe(3 + 48 + 1 + (1 + 3 + 1 + version.length));
  });

  it('stays within the bounds of a node however long the pins are', () => {
    const encoder = new LeafEncoder();
    const long = { kind: 'object', etag: 'e'.repeat(1_024), version: 'v'.repeat(1_024) } as const;
    const address = { kind: 'imported', url, pin: long } as const;
    const entry = { ...pinned(url), content: pinnedContentId(url, 9, long), address, size: 9 };
    let weight = 0;
    for (let i = 0; weight < 20_480; i++) {
      weight += encoder.append(String(i).padStart(4, '0') as Key, entry);
    }
    const { bytes } = encoder.finish();
    expect(bytes.length).toBeLessThan(24_000);
    expect(decodeNode(sha256(bytes) as NodeId, bytes).entries).toBe(10);
  });

  it('stays within the bounds of a node however different the sources are', () => {
    const encoder = new LeafEncoder();
    let weight = 0;
    for (let i = 0; weight < 20_480; i++) {
      const url = `${'x'.repeat(URL_BYTES_MAX - 4)}${String(i).padStart(4, '0')}`;
      weight += encoder.append(String(i).padStart(4, '0') as Key, pinned(url));
    }
    const { bytes } = encoder.finish();
    expect(bytes.length).toBeLessThan(400_000);
    expect(decodeNode(sha256(bytes) as NodeId, bytes).count).toBeGreaterThan(50);
  });
});

describe('two trees of files imported from different folders', () => {
  it('differ in each of them, though the bytes of their items are equal', async () => {
    const nodes = nodesOver(new MemoryNodes());
    const from = async (folder: string): Promise<NodeId> => {
      const items = Array.from({ length: 40 }, (_, i) => {
        const name = `${String(i).padStart(4, '0')}.jpg`;
        return { key: key(`raw/${name}`), entry: pinned(`file:///${folder}/${name}`) };
      });
      return (await buildTree(nodes, [items])).id;
    };
    const [before, after] = [await from('run-8421'), await from('run-8422')];
    const changes = [];
    for await (const batch of diffTrees(nodes, before, after)) changes.push(...batch);
    expect(changes).toHaveLength(40);
  });
});
