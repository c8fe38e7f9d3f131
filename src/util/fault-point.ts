/**
 * Places where a crash would hurt most, by name. With TARN_FAULT_POINT=<name> in the environment
 * the process kills itself with SIGKILL when it gets there, as a power cut would stop it; crash
 * tests then look at what is left. `<name>:<n>` lets n passes go by first.
 *
 * Put: `put-content-stored` (bytes are durable, their rows are not staged), `put-rows-staged`.
 * Staging: `staging-folded` (a tree of what is staged is durable, the rows are still there),
 * `edits-staged` (so is a tree with the edits of a mount, which is not staged yet).
 * Import from a bucket: `import-listed` (a part of the listing is kept, to go on from).
 * Commit, in order: `commit-start`, `commit-prepared` (its tree is durable, or on its way),
 * `commit-saved` (all that it names is durable), `commit-ref-moved`, `commit-staging-cleared`.
 */
export type FaultPoint =
  | 'put-content-stored'
  | 'put-rows-staged'
  | 'staging-folded'
  | 'edits-staged'
  | 'import-listed'
  | 'commit-start'
  | 'commit-prepared'
  | 'commit-saved'
  | 'commit-ref-moved'
  | 'commit-staging-cleared';

const [chosen, passes = '0'] = (process.env['TARN_FAULT_POINT'] ?? '').split(':');
let left = Number(passes);

export function faultPoint(name: FaultPoint): void {
  if (name !== chosen) return;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
  left -= 1;
}
