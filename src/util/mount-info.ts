import { readFileSync } from 'node:fs';

/** One line of /proc/self/mountinfo. */
export interface MountEntry {
  readonly directory: string;
  /** As /proc/mounts shows it, unescaped. */
  readonly source: string;
  /** `fuse.tarn` for a mount of ours. */
  readonly type: string;
  /** `major:minor` of the file system. */
  readonly device: string;
}

export const TARN_MOUNT_TYPE = 'fuse.tarn';

export const MOUNTS_FILE = '/proc/self/mountinfo';

/**
 * The mounts of this or any other tarn that this process sees, without waiting for any of them;
 * none on a system without a list of mounts.
 */
export function tarnMountsNow(): readonly MountEntry[] {
  let text: string;
  try {
    text = readFileSync(MOUNTS_FILE, 'latin1');
  } catch {
    return [];
  }
  if (!text.includes(` ${TARN_MOUNT_TYPE} `)) return [];
  return parseMountInfo(text).filter(({ type }) => type === TARN_MOUNT_TYPE);
}

/** `text`: the file's bytes, one to a char. A line that is not understood is left out. */
export function parseMountInfo(text: string): readonly MountEntry[] {
  const mounts: MountEntry[] = [];
  for (const line of text.split('\n')) {
    // id parent major:minor root directory options [tag…] - type source options
    const [before, after] = line.split(' - ', 2);
    const left = before?.split(' ') ?? [];
    const right = after?.split(' ') ?? [];
    const [device, directory] = [left[2], left[4]];
    const [type, source] = right;
    if (device === undefined || directory === undefined) continue;
    if (type === undefined || source === undefined) continue;
    mounts.push({ device, directory: unescape(directory), type, source: unescape(source) });
  }
  return mounts;
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescape(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
