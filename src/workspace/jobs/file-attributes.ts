import type { BigIntStats } from 'node:fs';
import type { Entry } from '../../model/entry.js';

/** What an entry keeps of a file or directory beside its bytes. */
export type Attributes = Pick<Entry, 'mode' | 'mtimeSec' | 'mtimeNsec'>;

const NANOSECONDS = 1_000_000_000n;

export function attributesOf({ mode, mtimeNs }: BigIntStats): Attributes {
  const rest = mtimeNs % NANOSECONDS;
  const nsec = rest < 0n ? rest + NANOSECONDS : rest;
  return {
    mode: Number(mode & 0o7777n),
    mtimeSec: Number((mtimeNs - nsec) / NANOSECONDS),
    mtimeNsec: Number(nsec),
  };
}
