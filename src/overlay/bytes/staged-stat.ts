import type { BigIntStats } from 'node:fs';
import { timestampOf } from './times.js';

export const SECTOR_BYTES = 512;

/** As fstat(2) says. */
export interface StagedStat {
  /** Bytes. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  readonly atimeSec: number;
  readonly atimeNsec: number;
  /** Of 512 bytes. */
  readonly sectors: number;
}

export function statOf(stats: BigIntStats, isWhole: boolean): StagedStat {
  const size = Number(stats.size);
  const { sec: mtimeSec, nsec: mtimeNsec } = timestampOf(stats.mtimeNs);
  const { sec: ctimeSec, nsec: ctimeNsec } = timestampOf(stats.ctimeNs);
  const { sec: atimeSec, nsec: atimeNsec } = timestampOf(stats.atimeNs);
  // Without what the base shows, programs would take a partial file for one of holes.
  const sectors = isWhole ? Number(stats.blocks) : Math.ceil(size / SECTOR_BYTES);
  return { size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec, atimeSec, atimeNsec, sectors };
}
