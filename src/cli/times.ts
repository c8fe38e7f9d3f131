import { parseTime, timeMs } from '../model/time.js';
import type { Input } from './command.js';

/** What an option says as a time, in milliseconds since 1970 UTC. @throws TarnError invalid */
export function timeOf(input: Input, name: 'since' | 'until', nowMs: number): number | undefined {
  const given = input.value(name);
  return given === undefined ? undefined : timeMs(parseTime(given), nowMs);
}
