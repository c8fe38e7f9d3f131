import { plural, humanBytes, shortDate, shortId } from '../util/format.js';
import type { ChangeRow, LeftRow, StatusResult } from './protocol/staging.js';
import type { CommitRow } from './protocol/terms.js';

const MARKS = {
  added: 'A',
  changed: 'M',
  removed: 'D',
  'type-changed': 'T',
  'metadata-changed': 'P',
} as const;

/** How the command line and the files in `.tarn` tell people of things; `name` makes text harmless. */
type Harmless = (text: string) => string;

export function changeLine({ path, change, entries, size }: ChangeRow, name: Harmless): string {
  const many = entries === undefined ? '' : `  (${plural(entries, 'file')})`;
  return `${MARKS[change]}  ${humanBytes(size).padStart(10)}  ${name(path)}${many}`;
}

export function leftLine({ path, why }: LeftRow, name: Harmless): string {
  return `!  ${' '.repeat(10)}  ${name(path)}  (${why})`;
}

/** @param on repository and branch */
export function statusSummary(
  { base, added, changed, removed }: StatusResult,
  on: string,
  isPage: boolean,
): string {
  const at = `${on} at ${shortId(base)}`;
  if (added + changed + removed === 0 && !isPage) return `nothing is staged on ${at}`;
  return `${plural(added, 'added', 'added')}, ${changed} changed, ${removed} removed on ${at}`;
}

export function commitLines(row: CommitRow, lines: Harmless): string[] {
  const metadata = Object.entries(row.metadata).map(([key, value]) => `    ${key}=${value}`);
  const all = [
    `commit ${row.commit}`,
    ...(row.parents.length > 1 ? [`merge  ${row.parents.map(shortId).join(' ')}`] : []),
    `author ${row.author}`,
    `date   ${shortDate(row.date)} UTC`,
    '',
    ...row.message
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line}`),
    ...(metadata.length === 0 ? [] : ['', ...metadata]),
    '',
  ];
  return all.flatMap((line) => lines(line).split('\n'));
}

/** Ignored files that are named; the others always are. */
const IGNORED_NAMED = 3;

/** What is in mounts of a branch and stays out of its commits. */
export function leftNotes(left: readonly LeftRow[], name: Harmless): string[] {
  const ignored = left.filter(({ reason }) => reason === 'ignored');
  const isQuiet = ignored.length > IGNORED_NAMED;
  const named = left.filter(({ reason }) => !isQuiet || reason !== 'ignored');
  const notes = named.map(({ path, why }) => `not committed: ${name(path)}: ${why}`);
  const rest = `not committed: ${plural(ignored.length, 'file')} that the ignore rules name`;
  return isQuiet ? [...notes, rest] : notes;
}

export function committedLine({ commit, message }: CommitRow, on: string, name: Harmless): string {
  const [subject = ''] = message.split('\n');
  return `${shortId(commit)} on ${on}: ${name(subject)}`;
}
