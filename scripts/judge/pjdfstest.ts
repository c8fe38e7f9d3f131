import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, type Check, type Judge } from './judge.js';

// Users that every distribution has; the tests switch to them.
const CONFIGURATION = `
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.01
allow_remount = false
[dummy_auth]
entries = [["daemon", "daemon"], ["bin", "bin"]]
`;

/** What POSIX says of each call, one case to a check; as root, since it switches users. */
export const pjdfstest: Judge = {
  name: 'pjdfstest',
  needs: ['pjdfstest'],
  async run({ directory, scratch }) {
    const configuration = join(scratch, 'pjdfstest.toml');
    writeFileSync(configuration, CONFIGURATION);
    const folder = join(directory, 'pjdfstest');
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    const { output } = await run('pjdfstest', ['-c', configuration, '-p', folder], {
      seconds: 600,
    });
    rmSync(folder, { recursive: true, force: true });
    const checks = parse(output);
    return { checks: checks.length > 0 ? checks : [didNotRun(output)] };
  },
};

const BACKTRACE = /^\s+(\d+: |at )/;

/** Lines are `chmod::eperm  ok`, `… skipped` or `… FAILED`, with the reason on indented lines. */
function parse(output: string): Check[] {
  const checks: Check[] = [];
  for (const line of output.split('\n')) {
    const [, name = '', word = ''] = /^(\S+::\S+)\s+(\S.*)$/.exec(line) ?? [];
    const last = checks.at(-1);
    if (name !== '') {
      const outcome = word === 'ok' ? 'passed' : word === 'skipped' ? 'skipped' : 'failed';
      checks.push({ name, outcome });
    } else if (last !== undefined && /^\s+\S/.test(line) && !BACKTRACE.test(line)) {
      checks[checks.length - 1] = {
        ...last,
        reason: [last.reason, line.trim()].filter(Boolean).join(' '),
      };
    }
  }
  return checks;
}

function didNotRun(output: string): Check {
  return { name: 'starting', outcome: 'failed', reason: output.slice(-600) };
}
