import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';

/**
 * Moments as users write them:
 *
 * - `2025-06-14T17:30:00Z`, `2025-06-14 17:30`, `2025-06-14 17:30:15.250 +02:00`,
 *   `2025-06-14 17:30 Europe/Berlin`: without a zone it is UTC;
 * - `2025-06-14`, `yesterday`, `today`, each perhaps with a clock time and a zone: a day alone is its
 *   first moment;
 * - `2 hours ago` (seconds, minutes, hours, days, weeks, months, years) and `now`. A day is 24
 *   hours here; months and years go by the calendar in UTC.
 *
 * A local time that came twice, as when clocks were put back, means the first.
 */
export type Time =
  | { readonly kind: 'ago'; readonly count: number; readonly unit: TimeUnit }
  | {
      readonly kind: 'day';
      readonly day: Day | 'today' | 'yesterday';
      /** Milliseconds of wall clock since midnight; absent for the day's first moment. */
      readonly clockMs?: number;
      readonly zone: Zone;
    };

export interface Day {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
}

export type TimeUnit = 'second' | 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year';

/** `Z`, an offset such as `+02:00`, or a name of the IANA's such as `Europe/Berlin`. */
export type Zone = string;

const HINT =
  "write it as '2025-06-14T17:30:00Z', '2025-06-14', '2025-06-14 17:30 Europe/Berlin', 'yesterday' or '2 hours ago'; without a zone it is UTC";
const ZONE_HINT = 'a zone is Z, an offset as +02:00, or a name as Europe/Berlin';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const UNIT_MS = {
  second: 1_000,
  minute: MINUTE_MS,
  hour: 3_600_000,
  day: DAY_MS,
  week: 7 * DAY_MS,
} as const;
const OFFSET_MINUTES_MAX = 14 * 60;
/** Furthest from 1970 that a Date reaches. */
const TIME_MS_MAX = 8.64e15;

const AGO = /^(\d{1,9}) *(second|minute|hour|day|week|month|year)s? +ago$/i;
const DAY =
  /^(\d{4}-\d\d-\d\d|today|yesterday)(?:(?:T| +)(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(?: *(Z|[+-]\d\d:?\d\d)| +([A-Za-z][A-Za-z0-9_+/-]*))?$/i;

/** @throws TarnError invalid */
export function parseTime(text: string): Time {
  const trimmed = text.trim();
  if (/^now$/i.test(trimmed)) return { kind: 'ago', count: 0, unit: 'second' };
  const ago = AGO.exec(trimmed);
  if (ago !== null) {
    const [, count, unit = ''] = ago;
    return { kind: 'ago', count: Number(count), unit: unit.toLowerCase() as TimeUnit };
  }
  const match = DAY.exec(trimmed);
  if (match === null) throw notTime(text);
  const [, day = '', hour, minute = '', second = '0', fraction = '0', offset, name] = match;
  const clockMs =
    hour === undefined ? undefined : parseClock(text, [hour, minute, second], fraction);
  return {
    kind: 'day',
    day: parseDay(day),
    ...(clockMs === undefined ? {} : { clockMs }),
    zone: parseZone(offset ?? name ?? 'Z'),
  };
}

/** Text that parseTime reads as `time`. */
export function formatTime(time: Time): string {
  if (time.kind === 'ago') return `${time.count} ${time.unit}s ago`;
  const { day, clockMs, zone } = time;
  const date = typeof day === 'string' ? day : formatDay(day);
  const clock = clockMs === undefined ? '' : ` ${new Date(clockMs).toISOString().slice(11, 23)}`;
  return `${date}${clock} ${zone}`;
}

/**
 * Milliseconds since 1970 UTC.
 * @throws TarnError invalid when clocks or calendars of the zone never showed that time
 */
export function timeMs(time: Time, nowMs: number): number {
  const ms = time.kind === 'ago' ? before(nowMs, time.count, time.unit) : onDay(time, nowMs);
  if (Math.abs(ms) <= TIME_MS_MAX) return ms;
  throw new TarnError('invalid', `the time '${formatTime(time)}' is too far away`);
}

function notTime(text: string): TarnError {
  return new TarnError('invalid', `'${printable(text)}' is not a time`, { hint: HINT });
}

function parseDay(text: string): Day | 'today' | 'yesterday' {
  const word = text.toLowerCase();
  if (word === 'today' || word === 'yesterday') return word;
  const [year = 0, month = 0, day = 0] = text.split('-').map(Number);
  const date = { year, month, day };
  if (new Date(dayMs(date)).toISOString().startsWith(text)) return date;
  throw new TarnError('invalid', `there is no day ${text}`, { hint: HINT });
}

function parseClock(text: string, parts: readonly string[], fraction: string): number {
  const [hour = 0, minute = 0, second = 0] = parts.map(Number);
  if (hour > 23 || minute > 59 || second > 59) {
    const clock = parts.join(':');
    throw new TarnError('invalid', `no clock shows ${clock}, as in '${printable(text)}'`, {
      hint: 'a time of day goes from 00:00:00 to 23:59:59',
    });
  }
  const ms = Number(fraction.padEnd(3, '0').slice(0, 3));
  return ((hour * 60 + minute) * 60 + second) * 1_000 + ms;
}

function parseZone(text: string): Zone {
  if (/^(z|utc)$/i.test(text)) return 'Z';
  if (!/^[+-]/.test(text)) {
    wallClock(text);
    return text;
  }
  const digits = text.replace(':', '');
  const zone = `${digits.slice(0, 3)}:${digits.slice(3)}`;
  if (Number(zone.slice(4)) < 60 && Math.abs(offsetMinutes(zone)) <= OFFSET_MINUTES_MAX)
    return zone;
  throw new TarnError('invalid', `no time zone is ${text} from UTC`, { hint: ZONE_HINT });
}

const pad = (n: number, width: number): string => String(n).padStart(width, '0');

function formatDay({ year, month, day }: Day): string {
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
}

/** Midnight of that day, were its zone UTC. */
function dayMs({ year, month, day }: Day): number {
  return new Date(0).setUTCFullYear(year, month - 1, day);
}

function before(nowMs: number, count: number, unit: TimeUnit): number {
  if (unit !== 'month' && unit !== 'year') return nowMs - count * UNIT_MS[unit];
  const date = new Date(nowMs);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() - count * (unit === 'year' ? 12 : 1));
  // The last day of a shorter month stands for the days that it lacks.
  const month = new Date(date);
  month.setUTCMonth(month.getUTCMonth() + 1, 0);
  return date.setUTCDate(Math.min(day, month.getUTCDate()));
}

function onDay(time: Time & { kind: 'day' }, nowMs: number): number {
  const { day, clockMs, zone } = time;
  const midnight = typeof day === 'string' ? dayNear(nowMs, day, zone) : dayMs(day);
  const wallMs = midnight + (clockMs ?? 0);
  const earlier = offsetMs(zone, wallMs - DAY_MS);
  const later = offsetMs(zone, wallMs + DAY_MS);
  // The greater offset gives the earlier moment, where clocks were put back between the two.
  for (const offset of [Math.max(earlier, later), Math.min(earlier, later)]) {
    if (offsetMs(zone, wallMs - offset) === offset) return wallMs - offset;
  }
  // Clocks were put forward over it. A day that lacks its midnight begins right behind the gap.
  const behindMs = wallMs - earlier;
  const isSameDay = behindMs + offsetMs(zone, behindMs) < midnight + DAY_MS;
  if (clockMs === undefined && isSameDay) return behindMs;
  throw new TarnError(
    'invalid',
    `clocks never showed '${formatTime(time)}': they were put forward`,
    {
      hint: 'give a time before or after that, or one in UTC',
    },
  );
}

function dayNear(nowMs: number, word: 'today' | 'yesterday', zone: Zone): number {
  const wallMs = nowMs + offsetMs(zone, nowMs);
  return Math.floor(wallMs / DAY_MS) * DAY_MS - (word === 'today' ? 0 : DAY_MS);
}

/** What the zone's clocks are ahead of UTC at that moment. */
function offsetMs(zone: Zone, atMs: number): number {
  if (zone === 'Z') return 0;
  if (/^[+-]/.test(zone)) return offsetMinutes(zone) * MINUTE_MS;
  const parts: Record<string, number> = {};
  for (const { type, value } of wallClock(zone).formatToParts(atMs)) parts[type] = Number(value);
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts;
  const wallMs = dayMs({ year, month, day }) + ((hour * 60 + minute) * 60 + second) * 1_000;
  return wallMs - Math.floor(atMs / 1_000) * 1_000;
}

function offsetMinutes(zone: Zone): number {
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4));
  return zone.startsWith('-') ? -minutes : minutes;
}

/** @throws TarnError invalid when there is no such zone */
function wallClock(zone: string): Intl.DateTimeFormat {
  const number = 'numeric';
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      ...{ year: number, month: number, day: number },
      ...{ hour: number, minute: number, second: number },
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TarnError('invalid', `there is no time zone '${printable(zone)}'`, {
      hint: ZONE_HINT,
    });
  }
}
