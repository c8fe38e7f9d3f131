import type { Outcome } from '../../history/outcome.js';
import type { Conflict } from '../../history/three-way.js';
import type { JobOutput } from './job.js';

/** An outcome whose conflicts were handed over as rows. */
export type Brought =
  | Exclude<Outcome, { kind: 'conflicts' }>
  | Omit<Extract<Outcome, { kind: 'conflicts' }>, 'conflicts'>;

const BATCH = 500;

/** @throws TarnError aborted */
export async function handOver(outcome: Outcome, out: JobOutput<Conflict>): Promise<Brought> {
  if (outcome.kind !== 'conflicts') return outcome;
  const { conflicts, ...rest } = outcome;
  for (let at = 0; at < conflicts.length; at += BATCH) {
    await out.rows(conflicts.slice(at, at + BATCH));
  }
  return rest;
}
