import type { DiskPath } from './walk.js';
import { pathText } from './walk.js';

/** What was left out, and why. */
export interface Note {
  readonly path: string;
  readonly why: string;
}

/** Notes that are listed; all are counted. */
export const NOTES_MAX = 1_000;

export class Notes {
  readonly listed: Note[] = [];
  count = 0;

  add(path: DiskPath, text: string): void {
    this.count += 1;
    if (this.listed.length < NOTES_MAX) this.listed.push({ path: pathText(path), why: text });
  }

  /** Goes on after notes that were taken before. */
  restore(listed: readonly Note[], count: number): void {
    this.listed.push(...listed);
    this.count += count;
  }
}
