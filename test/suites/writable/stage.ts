import { MTIME_MS, patterned, type FileSpec } from '../filesystem-files.js';
import type { Caller } from './caller.js';

/** What an implementation says it cannot do. */
export interface Lacks {
  /** fallocate, and lseek to data and holes. */
  readonly ranges?: boolean;
  /** RENAME_NOREPLACE and RENAME_EXCHANGE. */
  readonly renameFlags?: boolean;
  /** Times between whole milliseconds, and access times. */
  readonly nanoseconds?: boolean;
  /** Inode numbers that stay, or are told in listings. */
  readonly inodes?: boolean;
  /** That a name is always there while its file, which is open, is replaced. */
  readonly replacing?: boolean;
  /** O_TMPFILE. */
  readonly temporaryFiles?: boolean;
  /** Shared maps that are written. */
  readonly writtenMaps?: boolean;
  /** Attributes in the `user.` name space. */
  readonly attributes?: boolean;
}

/** What the parts of the suite play on: two processes below the directory under test. */
export interface Stage {
  readonly one: Caller;
  readonly two: Caller;
  readonly lacks: Lacks;
}

/** Long enough that nobody copies it whole when a byte of it is changed, and it ends within a page. */
export const LOG = patterned(5 * 1_048_576 + 7);
export const LOGS = [
  'patched',
  'appended',
  'cut',
  'grown',
  'mapped',
  'punched',
  'copied',
  'dated',
] as const;

export const BASE: readonly FileSpec[] = [
  ...LOGS.map((name) => ({ path: `logs/${name}.mcap`, bytes: LOG, mode: 0o644 })),
  { path: 'notes.txt', bytes: 'before\n', mode: 0o640, mtimeMs: MTIME_MS },
  { path: 'dated.txt', bytes: 'small' },
  { path: 'replaced.txt', bytes: 'to be replaced\n' },
  { path: 'removed.txt', bytes: 'to be removed\n' },
  { path: 'latest', symlink: 'notes.txt' },
  { path: 'labels/a/b/c.json', bytes: '{"c":1}' },
  { path: 'labels/a/d.json', bytes: '{"d":1}' },
  { path: 'labels/e.json', bytes: '{"e":1}' },
  { path: 'swapped/left/deep/one', bytes: '1' },
  { path: 'swapped/right', bytes: '2' },
  { path: 'tree/sub/file', bytes: 'below\n' },
  ...Array.from({ length: 1500 }, (_, i) => ({
    path: `crowd/${String(i).padStart(6, '0')}.jpg`,
    bytes: `frame ${i}`,
  })),
];
