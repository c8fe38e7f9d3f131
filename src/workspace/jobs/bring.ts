import type { Outcome } from '../../history/outcome.js';
import { parsePreference } from '../../history/prefer.js';
import type { Conflict, ThreeWayOptions } from '../../history/three-way.js';
import { keyToText } from '../../model/path.js';
import type { JobOutput } from './job.js';

/** An outcome whose conflicts were handed over as rows. */
export type Brought =
  | Exclude<Outcome, { kind: 'conflicts' }>
  | Omit<Extract<Outcome, { kind: 'conflicts' }>, 'conflicts'>;

const BATCH = 500;

/** How a job hears its preferences from its input, and is heard by its reader. */
export function hearing(
  { preferences }: { readonly preferences: readonly string[] },
  { progress, signal }: JobOutput<Conflict>,
): Required<ThreeWayOptions> {
  return {
    preferences: preferences.map(parsePreference),
    onChanges: (files, last) => progress({ files, bytes: 0, current: keyToText(last) }),
    signal,
  };
}

/** @throws TarnError aborted */
export async function handOver(outcome: Outcome, out: JobOutput<Conflict>): Promise<Brought> {
  if (outcome.kind !== 'conflicts') return outcome;
  const { conflicts, ...rest } = outcome;
  for (let at = 0; at < conflicts.length; at += BATCH) {
    await out.rows(conflicts.slice(at, at + BATCH));
  }
  return rest;
}
