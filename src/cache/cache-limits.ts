import { statfsSync } from 'node:fs';
import { TarnError } from '../util/errors.js';
import type { CacheLimits } from './object-cache.js';

/** Without a setting: so many bytes, and so much of the disk stays free. */
const BYTES_MAX = 64 * 2 ** 30;
const FREE_PART = 1 / 20;

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/**
 * The limits that this environment sets: TARN_CACHE_SIZE, and TARN_CACHE_FREE for what stays free on
 * the disk, both as `200GB` or `64GiB`.
 * @param directory on the disk of the cache
 * @throws TarnError invalid
 */
export function cacheLimits(
  directory: string,
  environment: NodeJS.ProcessEnv = process.env,
): CacheLimits {
  const { TARN_CACHE_SIZE: size, TARN_CACHE_FREE: free } = environment;
  const { blocks, bsize } = statfsSync(directory);
  return {
    bytesMax: sizeIn(size, 'TARN_CACHE_SIZE') ?? BYTES_MAX,
    freeBytesMin: sizeIn(free, 'TARN_CACHE_FREE') ?? Math.floor(blocks * bsize * FREE_PART),
  };
}

/** `200GB`, `64GiB` or a number of bytes; undefined when it is none of these. */
export function parseSize(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit.toLowerCase()] ?? NaN));
  return digits !== '' && Number.isSafeInteger(bytes) ? bytes : undefined;
}

function sizeIn(text: string | undefined, name: string): number | undefined {
  if (text === undefined || text === '') return undefined;
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new TarnError('invalid', `the environment's ${name} is '${text}', which is no size`, {
    hint: 'give it as 200GB or 64GiB',
  });
}
