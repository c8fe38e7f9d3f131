import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Part } from '../../src/daemon/frames.js';
import { encodeFrame, readFrames } from '../../src/daemon/frames.js';

async function* pieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function collect(parts: AsyncIterable<Part>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const part of parts) {
    const last = found.at(-1);
    if ('bytes' in part && Buffer.isBuffer(last)) {
      found[found.length - 1] = Buffer.concat([last, part.bytes]);
    } else {
      found.push('bytes' in part ? Buffer.from(part.bytes) : part.frame);
    }
  }
  return found;
}

const item = fc.oneof(
  fc.record({ row: fc.jsonValue() }),
  fc.uint8Array({ minLength: 1, maxLength: 300 }),
);

describe('frames', () => {
  it('come out as they went in, however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 }),
        async (items, sizes) => {
          const expected: unknown[] = [];
          const stream: Buffer[] = [];
          for (const each of items) {
            if ('row' in each) {
              stream.push(Buffer.from(encodeFrame(each)));
              expected.push(JSON.parse(JSON.stringify(each)));
            } else {
              stream.push(Buffer.from(encodeFrame({ bytes: each.length })), Buffer.from(each));
              const last = expected.at(-1);
              if (Buffer.isBuffer(last))
                expected[expected.length - 1] = Buffer.concat([last, each]);
              else expected.push(Buffer.from(each));
            }
          }
          const found = await collect(readFrames(pieces(Buffer.concat(stream), sizes)));
          expect(found).toEqual(expected);
        },
      ),
      { seed: 8421, numRuns: 200 },
    );
  });

  it.each(['nonsense\n', '[1]x\n', '"text"\n', '{"bytes":-1}\n', '{"bytes":"7"}\n'])(
    'refuse %j',
    async (text) => {
      await expect(collect(readFrames(pieces(Buffer.from(text), [100])))).rejects.toThrow(
        "the daemon's answer makes no sense",
      );
    },
  );

  it('refuse a line without end', async () => {
    const endless = pieces(Buffer.alloc(6_000_000, 'x'), [65_536]);
    await expect(collect(readFrames(endless))).rejects.toThrow('too long');
  });
});
