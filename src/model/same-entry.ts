import type { Entry } from './entry.js';

/**
 * Whether two entries are the same to a user: equal kind, content, mode, time and metadata. Where
 * the bytes lie does not matter.
 */
export function isSameEntry(a: Entry | undefined, b: Entry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.mode !== b.mode || a.mtimeSec !== b.mtimeSec || a.mtimeNsec !== b.mtimeNsec) return false;
  if (!isSameMetadata(a.metadata, b.metadata)) return false;
  if (a.kind === 'symlink') return b.kind === 'symlink' && a.target === b.target;
  return (
    b.kind === 'file' &&
    a.content === b.content &&
    a.size === b.size &&
    a.contentType === b.contentType &&
    a.etag === b.etag
  );
}

function isSameMetadata(a: Entry['metadata'] = {}, b: Entry['metadata'] = {}): boolean {
  const pairs = Object.entries(a);
  if (pairs.length !== Object.keys(b).length) return false;
  return pairs.every(([key, value]) => Object.hasOwn(b, key) && b[key] === value);
}
