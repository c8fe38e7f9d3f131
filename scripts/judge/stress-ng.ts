import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, type Check, type Judge } from './judge.js';

/** Those of its stressors that work below a directory. */
const STRESSORS = [
  ...['access', 'chdir', 'chmod', 'chown', 'copy-file', 'dentry', 'dir', 'dirdeep', 'dirmany'],
  ...['fallocate', 'fcntl', 'fiemap', 'file-ioctl', 'filename', 'flock', 'fpunch', 'fsize'],
  ...['fstat', 'getdent', 'hdd', 'inode-flags', 'io', 'iomix', 'lease', 'link', 'locka', 'lockf'],
  ...['lockofd', 'mknod', 'open', 'readahead', 'rename', 'seek', 'sendfile', 'symlink'],
  ...['sync-file', 'touch', 'utime', 'xattr'],
];

/** The options that keep some of them small. */
const BYTES: Readonly<Record<string, string>> = {
  fallocate: '--fallocate-bytes',
  hdd: '--hdd-bytes',
  iomix: '--iomix-bytes',
  readahead: '--readahead-bytes',
  seek: '--seek-size',
  sendfile: '--sendfile-size',
};

// Exit codes of stress-ng: no resources, not implemented.
const SKIPS: readonly (number | null)[] = [3, 4];

/** Its stressors of file systems one after the other, two processes each, checking themselves. */
export const stressNg: Judge = {
  name: 'stress-ng',
  needs: ['stress-ng'],
  async run({ directory }, isFull) {
    const checks: Check[] = [];
    const speeds: Record<string, number> = {};
    for (const name of STRESSORS) {
      const folder = join(directory, `stress-${name}`);
      mkdirSync(folder);
      const bytes = BYTES[name] === undefined ? [] : [BYTES[name], '16m'];
      const { code, output } = await run(
        'stress-ng',
        [
          `--${name}`,
          '2',
          ...bytes,
          '--timeout',
          isFull ? '10s' : '1s',
          '--temp-path',
          folder,
          '--verify',
          '--metrics-brief',
        ],
        { cwd: folder, seconds: 300 },
      );
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
      const rate = new RegExp(`\\] ${name}\\s+(?:[\\d.]+\\s+){4}([\\d.]+)`).exec(output)?.[1];
      if (rate !== undefined) speeds[`${name}, operations a second`] = Number(rate);
      checks.push(verdictOf(name, code, output));
    }
    return { checks, speeds };
  },
};

function verdictOf(name: string, code: number | null, output: string): Check {
  if (code === 0) return { name, outcome: 'passed' };
  const told = output.split('\n').filter((line) => /fail|error|skipp|unlimited/i.test(line));
  const reason = `ended with ${code}: ${told.slice(0, 4).join(' ').slice(0, 500)}`;
  return { name, outcome: SKIPS.includes(code) ? 'skipped' : 'failed', reason };
}
