/** A file, symlink or (path ending in `/`) directory that a filesystem under test must show. */
export interface FileSpec {
  readonly path: string;
  readonly bytes?: string | Uint8Array;
  readonly symlink?: string;
  readonly mode?: number;
  /** Whole milliseconds since 1970, not negative: what every driver can carry. */
  readonly mtimeMs?: number;
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export const MTIME_MS = Date.parse('2025-06-14T18:21:07.125Z');

/** Bytes that differ at every place a block or page could be mistaken for another. */
export function patterned(length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i += 1) words[i] = Math.imul(i + 1, 2_654_435_761);
  return new Uint8Array(words.buffer, 0, length);
}

const NAME_255 = `${'ü'.repeat(127)}x`;
const DEEP = Array.from({ length: 40 }, (_, i) => `level-${i}`).join('/');

export const LOG = 'raw/run-8421/log.mcap';
export const LOG_BYTES = patterned(3_500_007);
export const CROWD = 'frames/front';
export const CROWD_COUNT = 3000;

/** The moment that the suite looks at: small, but with every shape of name, size and kind. */
export const FILES: readonly FileSpec[] = [
  { path: 'hello.txt', bytes: 'hello\n', mode: 0o644, mtimeMs: MTIME_MS },
  { path: 'empty', bytes: '', mode: 0o600, mtimeMs: 0 },
  { path: 'bin/replay', bytes: '#!/bin/sh\necho "replayed $1"\n', mode: 0o755 },
  { path: 'bin/notes', bytes: 'not a program\n', mode: 0o640 },
  { path: LOG, bytes: LOG_BYTES, mode: 0o444, contentType: 'application/octet-stream' },
  {
    path: 'raw/run-8421/calibration.yaml',
    bytes: 'fx: 1042.5\n',
    metadata: { sensor: 'front-left' },
  },
  { path: 'raw/run-8421.md', bytes: 'sorts before the directory of its name\n' },
  { path: 'raw/run', bytes: 'a name that others start with\n' },
  { path: 'raw/page', bytes: patterned(4096) },
  { path: 'raw/page-and-one', bytes: patterned(4097) },
  { path: 'raw/block', bytes: patterned(1_048_576) },
  { path: 'raw/block-and-one', bytes: patterned(1_048_577) },
  { path: 'links/hello', symlink: '../hello.txt' },
  { path: 'links/nowhere', symlink: 'no/such/place' },
  { path: 'links/loop', symlink: 'loop' },
  { path: 'links/run', symlink: '../raw/run-8421' },
  { path: 'links/long', symlink: `../${'x'.repeat(3000)}` },
  { path: 'names/ with spaces ', bytes: '1' },
  { path: 'names/new\nline', bytes: '2' },
  { path: 'names/-rf', bytes: '3' },
  { path: 'names/back\\slash', bytes: '4' },
  { path: 'names/日本語/Straße.txt', bytes: '5' },
  { path: `names/${NAME_255}`, bytes: '6' },
  { path: 'names/UPPER', bytes: '7' },
  { path: 'names/upper', bytes: '8' },
  { path: 'names/...', bytes: '9' },
  { path: `${DEEP}/bottom`, bytes: 'here' },
  { path: 'void/', mode: 0o755, mtimeMs: MTIME_MS },
  { path: 'closed/', mode: 0o750, mtimeMs: MTIME_MS },
  { path: 'closed/key', bytes: 'k', mode: 0o400 },
  ...Array.from({ length: CROWD_COUNT }, (_, i) => ({
    path: `${CROWD}/${String(i).padStart(6, '0')}.jpg`,
    bytes: `frame ${i}`,
  })),
];
