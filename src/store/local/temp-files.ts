import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** After this long a file of an unknown machine or an earlier boot is taken for left over. */
const FOREIGN_AGE_MS_MAX = 86_400_000;
/** A start time where there is no /proc. */
const UNKNOWN = '0';
const NAME = /^([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{16}$/;

/** `<machine>-<pid>-<start time>-<random>`, so that others can tell whether the writer lives. */
export function tempName(): string {
  return `${MACHINE}-${process.pid}-${OWN_START}-${randomBytes(8).toString('hex')}`;
}

/** Removes what dead processes left in `directory`; never a file of a living one. */
export async function cleanTemps(directory: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  for (const name of names) {
    const path = join(directory, name);
    try {
      if (await isLeftOver(name, path)) await unlink(path);
    } catch (error) {
      // Another process cleans as well.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

async function isLeftOver(name: string, path: string): Promise<boolean> {
  const [, machine, pid, start] = NAME.exec(name) ?? [];
  if (pid === undefined || start === undefined) return false;
  if (machine === MACHINE) return !isAlive(Number(pid), start);
  return Date.now() - (await stat(path)).mtimeMs > FOREIGN_AGE_MS_MAX;
}

function isAlive(pid: number, start: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const found = startTime(pid);
  return found === start || found === UNKNOWN;
}

/** Clock ticks from boot to the process's start, which a reused pid does not share. */
function startTime(pid: number | 'self'): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}

/** Pids are compared only within one boot and one pid namespace. */
function machineTag(): string {
  let identity: string;
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1');
    identity = `${boot}${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    identity = hostname();
  }
  return createHash('sha256').update(identity).digest('hex').slice(0, 8);
}

const MACHINE = machineTag();
const OWN_START = startTime('self');
