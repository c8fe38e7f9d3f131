import type { LeftRow } from '../daemon/protocol/staging.js';
import { leftNotes } from '../daemon/texts.js';
import type { Terminal } from './terminal.js';

/** Names what is in mounts of a branch and stays out of its commits. */
export function noteLeft(terminal: Terminal, left: readonly LeftRow[]): void {
  for (const note of leftNotes(left, (text) => terminal.name(text))) terminal.note(note);
}
