import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, checkOf, run, type Check, type Judge, type Place } from './judge.js';

/** This repository cloned, worked in, packed and checked by git itself. */
export const git: Judge = {
  name: 'git',
  needs: ['git'],
  async run({ directory }, isFull) {
    const clone = join(directory, 'clone');
    const step = async (name: string, ...args: string[]): Promise<Check> =>
      checkOf(name, await run('git', args, { cwd: directory, seconds: 900, env: AUTHOR }));
    const within = (name: string, ...args: string[]) => step(name, '-C', clone, ...args);
    const checks = [await step('clone', 'clone', '--quiet', '--no-local', ROOT, clone)];
    checks.push(
      await within('nothing differs', 'diff', '--exit-code', 'HEAD'),
      await within('fsck', 'fsck', '--full', '--strict'),
      await within('switch', 'checkout', '--quiet', '-b', 'labels-v2'),
      await within('move', 'mv', 'docs', 'pages'),
      await within('commit', 'commit', '--quiet', '-m', 'Move the pages'),
      await within('worktree', 'worktree', 'add', '--quiet', join(directory, 'worktree'), 'HEAD~1'),
      await within('rebase', 'rebase', '--quiet', '--force-rebase', 'HEAD~1'),
      await within('pack', 'gc', '--quiet', '--prune=now'),
      await within('fsck of what was packed', 'fsck', '--full', '--strict'),
      await within('clean', 'status', '--porcelain', '--untracked-files=all'),
    );
    if (isFull) {
      for (let round = 0; round < 5; round += 1) {
        checks.push(
          await within(`back ${round}`, 'checkout', '--quiet', `HEAD~${round + 1}`),
          await within(`nothing differs ${round}`, 'diff', '--exit-code', 'HEAD'),
        );
      }
    }
    return { checks };
  },
};

const AUTHOR = {
  GIT_AUTHOR_NAME: 'Dana',
  GIT_AUTHOR_EMAIL: 'dana@example.com',
  GIT_COMMITTER_NAME: 'Dana',
  GIT_COMMITTER_EMAIL: 'dana@example.com',
  GIT_CONFIG_GLOBAL: '/dev/null',
};

/** The packages of this repository installed by npm, as the lock file names them. */
export const npm: Judge = {
  name: 'npm',
  needs: ['npm'],
  async run({ directory }: Place) {
    for (const name of ['package.json', 'package-lock.json']) {
      execFileSync('cp', [join(ROOT, name), directory]);
    }
    const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
    const install = await run('npm', ['ci', ...options], { cwd: directory, seconds: 900 });
    const list = await run('npm', ['ls', '--all'], { cwd: directory, seconds: 300 });
    const start = await run('node', ['node_modules/typescript/bin/tsc', '--version'], {
      cwd: directory,
      seconds: 60,
    });
    return {
      checks: [
        checkOf('npm ci', install),
        checkOf('npm ls', list),
        checkOf('a program of it runs', start),
      ],
    };
  },
};
