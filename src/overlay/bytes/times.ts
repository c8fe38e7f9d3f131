import type { Timestamp } from '../../vfs/writable.js';

const NANOSECONDS = 1_000_000_000n;

/** @param ns nanoseconds since 1970, as fstat gives them */
export function timestampOf(ns: bigint): Timestamp {
  const nsec = ((ns % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  return { sec: Number((ns - nsec) / NANOSECONDS), nsec: Number(nsec) };
}
