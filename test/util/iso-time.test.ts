import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isoTime } from '../../src/util/iso-time.js';

describe('a time in a row', () => {
  it('is what Date makes of it, with nanoseconds where there are any', () => {
    const seconds = fc.oneof(
      fc.integer({ min: -200_000, max: 200_000 }),
      fc.integer({ min: -8_640_000_000_000, max: 8_640_000_000_000 }),
    );
    fc.assert(
      fc.property(seconds, fc.integer({ min: 1, max: 999_999_999 }), (second, nanosecond) => {
        const whole = new Date(second * 1000).toISOString().replace('.000Z', '');
        expect(isoTime(second, 0)).toBe(`${whole}Z`);
        expect(isoTime(second, nanosecond)).toBe(
          `${whole}.${String(nanosecond).padStart(9, '0')}Z`,
        );
      }),
      { seed: 8421, numRuns: 500 },
    );
  });

  it('is a number of seconds where Date knows no such year', () => {
    expect(isoTime(8_640_000_000_000, 0)).toBe('+275760-09-13T00:00:00Z');
    expect(isoTime(8_640_000_000_001, 0)).toBe('@8640000000001');
    expect(isoTime(-8_640_000_000_001, 5)).toBe('@-8640000000001');
  });
});
