/** ISO 8601 with nanoseconds where there are any; a year outside of Date's range as seconds. */
export function isoTime(seconds: number, nanoseconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}`;
  const whole = date.toISOString().replace(/\.\d{3}Z$/, '');
  return nanoseconds === 0 ? `${whole}Z` : `${whole}.${String(nanoseconds).padStart(9, '0')}Z`;
}
