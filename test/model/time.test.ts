import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Time } from '../../src/model/time.js';
import { formatTime, parseTime, timeMs } from '../../src/model/time.js';
import { TarnError } from '../../src/util/errors.js';

fc.configureGlobal({ seed: 8421 });

const NOW = '2025-06-14T17:30:00.000Z';

const DAY_MS = 86_400_000;
const ZONES = ['Z', '+02:00', '-09:30', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu'];

function moment(text: string, now = NOW): string {
  return new Date(timeMs(parseTime(text), Date.parse(now))).toISOString();
}

function failure(text: string): TarnError {
  try {
    moment(text);
  } catch (error) {
    if (error instanceof TarnError) return error;
    throw error;
  }
  throw new Error(`'${text}' is a time`);
}

const clockMs = fc.integer({ min: 0, max: DAY_MS - 1 });
const zone = fc.constantFrom(...ZONES);
/** A day in a year that dates know, as `2025-06-14`. */
const isoDay = fc
  .date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T00:00:00Z'),
    noInvalidDate: true,
  })
  .map((date) => date.toISOString().slice(0, 10));

function dayOf(text: string): { year: number; month: number; day: number } {
  const [year = 0, month = 0, day = 0] = text.split('-').map(Number);
  return { year, month, day };
}

const anyTime: fc.Arbitrary<Time> = fc.oneof(
  fc.record({
    kind: fc.constant('ago' as const),
    count: fc.nat(999_999_999),
    unit: fc.constantFrom('second', 'minute', 'hour', 'day', 'week', 'month', 'year'),
  }),
  fc.record(
    {
      kind: fc.constant('day' as const),
      day: fc.oneof(fc.constantFrom('today' as const, 'yesterday' as const), isoDay.map(dayOf)),
      clockMs,
      zone,
    },
    { requiredKeys: ['kind', 'day', 'zone'] },
  ),
);

describe('times', () => {
  it('are what their text says', () => {
    fc.assert(
      fc.property(anyTime, (time) => {
        expect(parseTime(formatTime(time))).toEqual(time);
      }),
    );
  });

  it('are the moments that Date reads, in UTC and at offsets', () => {
    fc.assert(
      fc.property(isoDay, clockMs, fc.constantFrom('Z', '+02:00', '-09:30'), (day, ms, offset) => {
        const clock = new Date(ms).toISOString().slice(11, 23);
        const written = `${day}T${clock}${offset}`;
        expect(timeMs(parseTime(written), 0)).toBe(Date.parse(written));
      }),
    );
  });

  it('come back from the wall clock of their zone', () => {
    const format = (timeZone: string): Intl.DateTimeFormat =>
      new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
    fc.assert(
      fc.property(
        fc.integer({ min: Date.UTC(1980, 0) / 1_000, max: Date.UTC(2037, 0) / 1_000 }),
        fc.constantFrom('Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia'),
        (second, timeZone) => {
          const wall = format(timeZone).format(second * 1_000);
          const ms = timeMs(parseTime(`${wall} ${timeZone}`), 0);
          expect(format(timeZone).format(ms)).toBe(wall);
          expect(ms).toBeLessThanOrEqual(second * 1_000);
        },
      ),
    );
  });

  it.each([
    ['now', NOW],
    ['0 seconds ago', NOW],
    ['2 hours ago', '2025-06-14T15:30:00.000Z'],
    ['1 hour ago', '2025-06-14T16:30:00.000Z'],
    ['  90 Minutes  ago ', '2025-06-14T16:00:00.000Z'],
    ['3 weeks ago', '2025-05-24T17:30:00.000Z'],
    ['1 year ago', '2024-06-14T17:30:00.000Z'],
    ['2025-06-14', '2025-06-14T00:00:00.000Z'],
    ['2025-06-14 Europe/Berlin', '2025-06-13T22:00:00.000Z'],
    ['2025-06-14 17:30', NOW],
    ['2025-06-14T17:30:00Z', NOW],
    ['2025-06-14t17:30:00z', NOW],
    ['2025-06-14 17:30 utc', NOW],
    ['2025-06-14 17:30:15.5', '2025-06-14T17:30:15.500Z'],
    ['2025-06-14T17:30:15.123456789Z', '2025-06-14T17:30:15.123Z'],
    ['2025-06-14 17:30 Europe/Berlin', '2025-06-14T15:30:00.000Z'],
    ['2025-06-14 17:30 europe/berlin', '2025-06-14T15:30:00.000Z'],
    ['2025-01-14 17:30 Europe/Berlin', '2025-01-14T16:30:00.000Z'],
    ['2025-06-14T17:30:00+0530', '2025-06-14T12:00:00.000Z'],
    ['2025-06-14 17:30 -07:00', '2025-06-15T00:30:00.000Z'],
    ['yesterday', '2025-06-13T00:00:00.000Z'],
    ['Today', '2025-06-14T00:00:00.000Z'],
    ['yesterday 17:30 Europe/Berlin', '2025-06-13T15:30:00.000Z'],
    ['today Pacific/Auckland', '2025-06-14T12:00:00.000Z'],
  ])('%j is %s', (text, iso) => expect(moment(text)).toBe(iso));

  it.each([
    ['1 month ago', '2025-03-31T10:00:00.000Z', '2025-02-28T10:00:00.000Z'],
    ['1 year ago', '2024-02-29T10:00:00.000Z', '2023-02-28T10:00:00.000Z'],
    ['14 months ago', '2025-03-31T10:00:00.000Z', '2024-01-31T10:00:00.000Z'],
  ])('%j before %s is %s', (text, now, iso) => expect(moment(text, now)).toBe(iso));

  it('that came twice are the first', () => {
    expect(moment('2025-10-26 02:30 Europe/Berlin')).toBe('2025-10-26T00:30:00.000Z');
    expect(moment('2025-11-02 01:30 America/New_York')).toBe('2025-11-02T05:30:00.000Z');
  });

  it('that never came are refused, but a day begins with its first moment', () => {
    expect(failure('2025-03-30 02:30 Europe/Berlin').message).toContain('clocks never showed');
    // Clocks in Beirut went from midnight to one; Samoa left out a whole day.
    expect(moment('2024-03-31 Asia/Beirut')).toBe('2024-03-30T22:00:00.000Z');
    expect(failure('2024-03-31 00:00 Asia/Beirut').kind).toBe('invalid');
    expect(failure('2011-12-30 Pacific/Apia').message).toContain('clocks never showed');
  });

  it.each([
    ['', 'not a time'],
    ['tomorrow', 'not a time'],
    ['2', 'not a time'],
    ['2 fortnights ago', 'not a time'],
    ['-2 hours ago', 'not a time'],
    ['2 hours', 'not a time'],
    ['14.06.2025', 'not a time'],
    ['2025/06/14', 'not a time'],
    ['2025-6-14', 'not a time'],
    ['2025-06-14T', 'not a time'],
    ['2025-06-14 17', 'not a time'],
    ['2025-06-14 17:30Europe/Berlin', 'not a time'],
    ['2025-06-14 17:30 Z Z', 'not a time'],
    ['2025-02-30', 'no day 2025-02-30'],
    ['2025-13-01', 'no day'],
    ['2025-00-10', 'no day'],
    ['2025-06-14 24:00', 'no clock shows 24:00'],
    ['2025-06-14 17:60', 'no clock shows'],
    ['2025-06-14 17:30:60Z', 'no clock shows'],
    ['2025-06-14 17:30 Europe/Brelin', "no time zone 'Europe/Brelin'"],
    ['2025-06-14 17:30 Mars/Olympus', "no time zone 'Mars/Olympus'"],
    ['2025-06-14 17:30 +15:00', 'no time zone is'],
    ['2025-06-14 17:30 +02:75', 'no time zone is'],
    ['999999999 years ago', 'too far away'],
    ['999999999 weeks ago', 'too far away'],
  ])('%j is refused: %s', (text, words) => {
    const error = failure(text);
    expect(error.kind).toBe('invalid');
    expect(error.message).toContain(words);
  });
});
