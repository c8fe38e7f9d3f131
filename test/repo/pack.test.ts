import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES, sha256 } from '../../src/model/ids.js';
import type { Hash, PackId } from '../../src/model/ids.js';
import { packKey } from '../../src/repo/layout.js';
import {
  PACK_ENTRIES_MAX,
  PACK_HEADER_BYTES,
  PACK_TRAILER_BYTES,
  packBytes,
  sealPack,
} from '../../src/repo/pack.js';
import { readPackIndex } from '../../src/repo/pack-reader.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { TarnError } from '../../src/util/errors.js';

const golden = (name: string): string =>
  readFileSync(new URL(`./golden/${name}`, import.meta.url), 'latin1').trim();

function pack(contents: readonly Uint8Array[]): { id: PackId; bytes: Buffer } {
  const total = contents.reduce((sum, { length }) => sum + length, 0);
  const buffer = Buffer.alloc(packBytes(contents.length, total));
  let at = PACK_HEADER_BYTES;
  for (const content of contents) {
    buffer.set(content, at);
    at += content.length;
  }
  return sealPack(
    buffer,
    contents.map((content) => ({ hash: sha256(content), length: content.length })),
  );
}

/** The index with another pack's rows, its id recomputed: hostile, but it hashes to its name. */
function forge(
  change: (index: Buffer) => Buffer,
  contents = SAMPLE,
): { id: PackId; bytes: Buffer } {
  const { bytes } = pack(contents);
  const indexOffset = Number(bytes.readBigUInt64BE(bytes.length - PACK_TRAILER_BYTES));
  const index = change(Buffer.from(bytes.subarray(indexOffset, bytes.length - PACK_TRAILER_BYTES)));
  const trailer = Buffer.from(bytes.subarray(bytes.length - PACK_TRAILER_BYTES));
  trailer.writeUInt32BE(index.length, 8);
  const forged = Buffer.concat([bytes.subarray(0, indexOffset), index, trailer]);
  return { id: sha256(index) as PackId, bytes: forged };
}

async function read(
  id: PackId,
  bytes: Uint8Array,
): Promise<Awaited<ReturnType<typeof readPackIndex>> | TarnError> {
  const store = new MemoryStore();
  await store.put(packKey(id), bytes);
  try {
    return await readPackIndex(store, id);
  } catch (error) {
    if (error instanceof TarnError) return error;
    throw error;
  }
}

const SAMPLE = ['one', 'three', 'five!'].map((text) => Buffer.from(text));

describe('pack', () => {
  test('has the bytes of the golden file, and its id', () => {
    const { id, bytes } = pack(SAMPLE);
    expect(bytes.toString('hex')).toBe(golden('pack-v1.hex'));
    expect(id).toBe(golden('pack-v1.id'));
  });

  test('its index tells each content, and where it lies', async () => {
    const content = fc.uint8Array({ minLength: 1, maxLength: 300 });
    const contents = fc.uniqueArray(content, {
      minLength: 1,
      maxLength: 50,
      selector: (bytes) => Buffer.from(bytes).toString('hex'),
    });
    await fc.assert(
      fc.asyncProperty(contents, async (list) => {
        const { id, bytes } = pack(list);
        const found = await read(id, bytes);
        if (found instanceof TarnError) throw found;
        expect(found.size).toBe(bytes.length);
        expect(found.contents.map(({ hash }) => hash)).toEqual(list.map((each) => sha256(each)));
        for (const { hash, offset, length } of found.contents) {
          expect(sha256(bytes.subarray(offset, offset + length))).toBe(hash);
        }
      }),
      { seed: 3, numRuns: 100 },
    );
  });

  test('is refused, named, with any byte of index or trailer flipped, or cut anywhere', async () => {
    const { id, bytes } = pack(SAMPLE);
    const indexOffset = Number(bytes.readBigUInt64BE(bytes.length - PACK_TRAILER_BYTES));
    const damaged: Buffer[] = [];
    for (let at = indexOffset; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0x41;
      damaged.push(flipped);
    }
    for (let length = 0; length < bytes.length; length += 1)
      damaged.push(bytes.subarray(0, length));
    damaged.push(Buffer.concat([bytes, Buffer.from('x')]));
    for (const found of damaged) {
      const fault = await read(id, found);
      if (!(fault instanceof TarnError)) throw new Error('a damaged pack was accepted');
      expect(['corrupt', 'unsupported']).toContain(fault.kind);
      expect(fault.message).toContain(packKey(id));
    }
  });

  test('a missing pack is not-found, named', async () => {
    const id = '0'.repeat(64) as PackId;
    await expect(readPackIndex(new MemoryStore(), id)).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining(packKey(id)) as string,
    });
  });

  const row = (hash: Hash, length: number): Buffer => {
    const bytes = Buffer.alloc(36);
    bytes.write(hash, 'hex');
    bytes.writeUInt32BE(length, 32);
    return bytes;
  };
  const hostile: Record<string, { change: (index: Buffer) => Buffer; why: RegExp }> = {
    'no contents': {
      change: (index) => {
        index.writeUInt32BE(0, 8);
        return index.subarray(0, 12);
      },
      why: /0 contents/,
    },
    'more rows than it counts': {
      change: (index) => Buffer.concat([index, row(sha256(Buffer.from('x')), 1)]),
      why: /3 contents in an index of 156 bytes/,
    },
    'a count beyond the limit': {
      change: (index) => {
        index.writeUInt32BE(PACK_ENTRIES_MAX + 1, 8);
        return index;
      },
      why: /65537 contents/,
    },
    'an empty content': {
      change: (index) => {
        index.writeUInt32BE(0, 12 + 32);
        return index;
      },
      why: /states 0 bytes/,
    },
    'a content longer than a block': {
      change: (index) => {
        index.writeUInt32BE(BLOCK_BYTES + 1, 12 + 32);
        return index;
      },
      why: /states 1048577 bytes/,
    },
    'a content twice': {
      change: (index) => {
        index.copy(index, 12 + 36, 12, 12 + 32);
        return index;
      },
      why: /twice/,
    },
    'lengths that do not add up': {
      change: (index) => {
        index.writeUInt32BE(4, 12 + 32);
        return index;
      },
      why: /contents end at 22/,
    },
    'another magic': {
      change: (index) => {
        index[0] = 0;
        return index;
      },
      why: /no index where/,
    },
    'a later version': {
      change: (index) => {
        index[7] = 2;
        return index;
      },
      why: /version 2/,
    },
    'nothing in its index': { change: () => Buffer.alloc(0), why: /no index where/ },
  };
  test.each(Object.entries(hostile))('one that states %s is refused', async (_name, each) => {
    const { id, bytes } = forge(each.change);
    const fault = await read(id, bytes);
    if (!(fault instanceof TarnError)) throw new Error('a hostile pack was accepted');
    expect(fault.message).toMatch(each.why);
    expect(fault.message).toContain(packKey(id));
  });
});
