import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES, sha256 } from '../../src/model/ids.js';
import {
  blockCount,
  blockHash,
  decodeManifest,
  encodeManifest,
  FILE_BYTES_MAX,
  manifestBytes,
  manifestId,
} from '../../src/repo/manifest.js';
import { TarnError } from '../../src/util/errors.js';

const golden = (name: string): string =>
  readFileSync(new URL(`./golden/${name}`, import.meta.url), 'latin1').trim();

function hashes(count: number): Buffer {
  const each = Array.from({ length: count }, (_, i) =>
    Buffer.from(sha256(Buffer.from([i])), 'hex'),
  );
  return Buffer.concat(each);
}

describe('manifest', () => {
  test('encodes to the bytes of the golden file, and has its id', () => {
    const size = 2 * BLOCK_BYTES + 1;
    const bytes = encodeManifest({ size, blocks: hashes(3) });
    expect(bytes.toString('hex')).toBe(golden('manifest-v1.hex'));
    expect(manifestId(size, bytes)).toBe(golden('manifest-v1.id'));
  });

  test('decoding gives back what was encoded, and its blocks', () => {
    const size = fc.integer({ min: BLOCK_BYTES + 1, max: 40 * BLOCK_BYTES });
    fc.assert(
      fc.property(size, (bytesInFile) => {
        const blocks = hashes(blockCount(bytesInFile));
        const bytes = encodeManifest({ size: bytesInFile, blocks });
        expect(bytes.length).toBe(manifestBytes(bytesInFile));
        const decoded = decodeManifest(bytes, 'm');
        expect(decoded.size).toBe(bytesInFile);
        expect(encodeManifest(decoded).equals(bytes)).toBe(true);
        const last = blockCount(bytesInFile) - 1;
        expect(blockHash(decoded, last)).toBe(sha256(Buffer.from([last])));
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test('refuses sizes that have no manifest, and block ids that do not fit', () => {
    for (const size of [0, 1, BLOCK_BYTES, FILE_BYTES_MAX + 1, Number.NaN, 1.5e7 + 0.5]) {
      expect(() => encodeManifest({ size, blocks: hashes(1) }), `${size}`).toThrow(TarnError);
    }
    expect(() => encodeManifest({ size: BLOCK_BYTES + 1, blocks: hashes(3) })).toThrow(TarnError);
  });

  test('every other byte string is refused with words that name the object', () => {
    const bytes = encodeManifest({ size: BLOCK_BYTES + 1, blocks: hashes(2) });
    const hostile: Buffer[] = [
      Buffer.alloc(0),
      bytes.subarray(0, 19),
      bytes.subarray(0, bytes.length - 1),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      Buffer.concat([bytes, hashes(1)]),
    ];
    for (let at = 0; at < 20; at += 1) {
      for (const bit of [1, 128]) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ bit;
        hostile.push(flipped);
      }
    }
    for (const found of hostile) {
      if (found.equals(bytes) || isManifest(found)) continue;
      const fault = faultOf(() => decodeManifest(found, 'manifests/ab/cd'));
      expect(['corrupt', 'unsupported']).toContain(fault.kind);
      expect(fault.message).toContain("'manifests/ab/cd'");
    }
  });

  test('a later version is said to be one', () => {
    const bytes = encodeManifest({ size: BLOCK_BYTES + 1, blocks: hashes(2) });
    bytes[7] = 2;
    const fault = faultOf(() => decodeManifest(bytes, 'm'));
    expect(fault.kind).toBe('unsupported');
    expect(fault.hint).toContain('newer tarn');
  });

  test('random bytes never decode to anything but themselves', () => {
    const start = encodeManifest({ size: BLOCK_BYTES + 1, blocks: hashes(2) }).subarray(0, 16);
    fc.assert(
      fc.property(fc.boolean(), fc.uint8Array({ maxLength: 200 }), (genuine, tail) => {
        const bytes = Buffer.concat([genuine ? start : Buffer.alloc(0), tail]);
        if (isManifest(bytes)) expect(bytes.length).toBeGreaterThan(20);
      }),
      { seed: 2, numRuns: 1000 },
    );
  });
});

/** Whether it decodes; anything but the identity or a TarnError fails the test. */
function isManifest(bytes: Buffer): boolean {
  try {
    expect(encodeManifest(decodeManifest(bytes, 'm')).equals(bytes)).toBe(true);
    return true;
  } catch (error) {
    if (error instanceof TarnError) return false;
    throw error;
  }
}

function faultOf(work: () => unknown): TarnError {
  try {
    work();
  } catch (error) {
    if (error instanceof TarnError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}
