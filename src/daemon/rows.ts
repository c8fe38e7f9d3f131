import type { EntryAttributes } from '../model/cursor.js';
import type { Commit } from '../model/commit.js';
import type { Entry } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import { isoTime } from '../util/iso-time.js';
import { keyToText } from '../model/path.js';
import type { Kept } from '../overlay/staging/edits.js';
import type { ListRow } from './protocol.js';
import type { LeftRow } from './protocol/staging.js';
import type { CommitRow } from './protocol/terms.js';

export function commitRow(id: string, commit: Commit): CommitRow {
  const { tree, parents, author, dateMs, message, metadata } = commit;
  const date = new Date(dateMs).toISOString();
  return { commit: id, tree, parents, author, date, message, metadata };
}

/** The first line of a message. */
export function subjectOf(message: string): string {
  return message.split('\n', 1)[0] ?? '';
}

export function entryRow(path: string, entry: Entry): ListRow {
  return {
    path,
    kind: entry.kind,
    size: entrySize(entry),
    mtime: isoTime(entry.mtimeSec, entry.mtimeNsec),
    mode: octal(entry.mode),
    ...(entry.kind === 'symlink' ? { target: entry.target } : {}),
  };
}

/** What a cursor tells of an entry without decoding it. */
export function attributesRow(path: string, attributes: EntryAttributes): ListRow {
  const { kind, size, mtimeSec, mtimeNsec, mode } = attributes;
  return { path, kind, size, mtime: isoTime(mtimeSec, mtimeNsec), mode: octal(mode) };
}

export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

const LEFT_MAX = 1_000;

/** LEFT_MAX of them at most. */
export function leftRows(kept: readonly Kept[]): LeftRow[] {
  return kept.slice(0, LEFT_MAX).map(({ path, ...rest }) => ({ path: keyToText(path), ...rest }));
}
