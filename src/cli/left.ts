import type { LeftRow } from '../daemon/protocol/staging.js';
import { plural } from './format.js';
import type { Terminal } from './terminal.js';

/** Ignored files that are named; the others always are. */
const IGNORED_NAMED = 3;

/** Names what is in mounts of a branch and stays out of its commits. */
export function noteLeft(terminal: Terminal, left: readonly LeftRow[]): void {
  const ignored = left.filter(({ reason }) => reason === 'ignored');
  const quiet = ignored.length > IGNORED_NAMED;
  for (const { path, reason, why } of left) {
    if (quiet && reason === 'ignored') continue;
    terminal.note(`not committed: ${terminal.name(path)}: ${why}`);
  }
  if (quiet) {
    terminal.note(`not committed: ${plural(ignored.length, 'file')} that the ignore rules name`);
  }
}
