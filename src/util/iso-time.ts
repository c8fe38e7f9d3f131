const DAY_SECONDS = 86_400;
/** Furthest second from 1970 that Date knows. */
const SECONDS_MAX = 8_640_000_000_000;
const TWO_DIGITS = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, '0'));
/** The day of the last time that was written: most of a listing have the same. */
let lastDay = { day: 0, text: '1970-01-01' };

/** ISO 8601 with nanoseconds where there are any; a year outside of Date's range as seconds. */
export function isoTime(seconds: number, nanoseconds: number): string {
  if (Math.abs(seconds) > SECONDS_MAX) return `@${seconds}`;
  const day = Math.floor(seconds / DAY_SECONDS);
  if (day !== lastDay.day) {
    const text = new Date(day * DAY_SECONDS * 1000).toISOString();
    lastDay = { day, text: text.slice(0, text.indexOf('T')) };
  }
  const ofDay = seconds - day * DAY_SECONDS;
  const [hours, minutes] = [Math.floor(ofDay / 3600), Math.floor(ofDay / 60) % 60];
  const clock = `${TWO_DIGITS[hours]}:${TWO_DIGITS[minutes]}:${TWO_DIGITS[ofDay % 60]}`;
  const fraction = nanoseconds === 0 ? '' : `.${String(nanoseconds).padStart(9, '0')}`;
  return `${lastDay.text}T${clock}${fraction}Z`;
}
