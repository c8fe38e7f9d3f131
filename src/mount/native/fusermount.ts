import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { TarnError } from '../../util/errors.js';
import { errnoName } from '../errno.js';
import type { Addon } from './addon.js';

/** The program that mounts for users who are not root. */
export const HELPER = 'fusermount3';
export const HELPER_HINT = "install it with 'apt-get install fuse3' (or your system's fuse3)";

export function hasHelper(): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, HELPER), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Mounts and returns the descriptor of /dev/fuse, which the helper opened and hands over on a
 * socket. `options` as for mount(8), commas inside values escaped.
 * @throws TarnError unsupported, denied, io
 */
export async function mountByHelper(
  addon: Addon,
  directory: string,
  options: string,
): Promise<number> {
  const pair = addon.socketPair();
  if (typeof pair === 'number') throw new TarnError('io', `no socket pair: ${errnoName(pair)}`);
  const [ours, theirs] = pair;
  try {
    const ran = runHelper(['-o', options, '--', directory], theirs);
    addon.closeDescriptor(theirs);
    const { code, complaint } = await ran;
    if (code !== 0) throw refusal(directory, complaint);
    const device = addon.receiveDescriptor(ours);
    if (device >= 0) return device;
    throw new TarnError('io', `${HELPER} handed over no device: ${errnoName(-device)}`);
  } finally {
    addon.closeDescriptor(ours);
  }
}

/** @throws TarnError busy, unsupported, io */
export async function unmountByHelper(
  directory: string,
  options: { readonly detach: boolean },
): Promise<void> {
  const flags = options.detach ? ['-u', '-z'] : ['-u'];
  const { code, complaint } = await runHelper([...flags, '--', directory]);
  if (code === 0) return;
  if (/busy/i.test(complaint)) {
    throw new TarnError('busy', `${directory} is in use: ${complaint}`, {
      hint: 'close what is open there, or unmount with --force',
    });
  }
  throw new TarnError('io', `${directory} was not unmounted: ${complaint}`);
}

function refusal(directory: string, complaint: string): TarnError {
  const hint = complaint.includes('user_allow_other')
    ? "let root add the line 'user_allow_other' to /etc/fuse.conf, or mount without --allow-other"
    : 'a user who is not root must own the mount point and be able to write in it';
  return new TarnError('denied', `${HELPER} refused to mount on ${directory}: ${complaint}`, {
    hint,
  });
}

interface Ran {
  readonly code: number | null;
  /** What it wrote to stderr, on one line. */
  readonly complaint: string;
}

function runHelper(args: readonly string[], socket?: number): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(HELPER, args, {
      stdio: ['ignore', 'ignore', 'pipe', ...(socket === undefined ? [] : [socket])],
      env: { ...process.env, ...(socket === undefined ? {} : { _FUSE_COMMFD: '3' }) },
    });
    let complaint = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('utf8')).slice(0, 4096);
    });
    child.on('error', (error) => {
      reject(
        new TarnError('unsupported', `${HELPER} cannot be run: ${error.message}`, {
          cause: error,
          hint: HELPER_HINT,
        }),
      );
    });
    child.on('close', (code) => {
      resolve({ code, complaint: complaint.trim().replace(/\s*\n\s*/g, '; ') });
    });
  });
}
