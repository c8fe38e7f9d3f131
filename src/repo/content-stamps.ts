import type { BigIntStats } from 'node:fs';

/**
 * Remembers that every byte of a local object file was verified, together with the file's identity
 * then. A file that was changed, replaced or truncated since has another identity.
 */
export interface VerifiedStamps {
  get(path: string): string | undefined;
  set(path: string, identity: string): void;
}

/** Differs after any write to the file: the kernel alone sets ctime. */
export function fileIdentity(stats: BigIntStats): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
