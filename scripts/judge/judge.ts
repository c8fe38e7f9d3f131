import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A program by others that says whether a directory is a file system. */
export interface Judge {
  readonly name: string;
  /** Programs that must be there. */
  readonly needs: readonly string[];
  run(place: Place, isFull: boolean): Promise<Verdict>;
}

/** Where a judge works: an empty directory under test, and one elsewhere for its own files. */
export interface Place {
  readonly directory: string;
  readonly scratch: string;
  /** Calls that are documented not to be there. */
  readonly lacks?: readonly string[];
}

export interface Verdict {
  /** What was tried, by name. */
  readonly checks: readonly Check[];
  /** Speeds by what is counted, as 'bogo ops/s of rename'; more is better. */
  readonly speeds?: Readonly<Record<string, number>>;
}

export interface Check {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it did not pass, in the judge's words. */
  readonly reason?: string;
}

export interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** This checkout. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** `scripts/judge/install` puts programs here that no distribution has. */
const PROGRAMS = join(ROOT, '.cache/judge/bin');

/** Runs a program to its end; output and errors come together, as on a terminal. */
export function run(
  program: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly seconds?: number;
  } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...withPrograms(), LC_ALL: 'C', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.seconds === undefined ? {} : { timeout: options.seconds * 1000 }),
    });
    let output = '';
    const take = (text: string): void => {
      output += text;
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

function withPrograms(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${PROGRAMS}${delimiter}${process.env['PATH'] ?? ''}` };
}

/** Of the programs that a judge needs, those that are not there. */
export function missing(judge: Judge): string[] {
  const folders = (withPrograms()['PATH'] ?? '').split(delimiter);
  return judge.needs.filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
}

/** A check that one run of a program must end well. */
export function checkOf(name: string, ran: Ran): Check {
  if (ran.code === 0) return { name, outcome: 'passed' };
  const ended = ran.code === null ? 'did not end in time' : `ended with ${ran.code}`;
  return { name, outcome: 'failed', reason: `${ended}: ${ran.output.trim().slice(-600)}` };
}
