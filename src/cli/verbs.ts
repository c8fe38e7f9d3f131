import type { Command } from './command.js';

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** A verb's file is loaded only when the verb is used: start-up time is what users wait for. */
  load(): Promise<readonly Command[]>;
}

const verb = (
  name: string,
  summary: string,
  load: () => Promise<{ commands: readonly Command[] }>,
): Verb => ({ name, summary, load: async () => (await load()).commands });

/** In the order of the help. */
export const VERBS: readonly Verb[] = [
  verb(
    'repo',
    'create, list, show, guard and delete repositories',
    () => import('./verbs/repo.js'),
  ),
  verb('put', 'stage files or folders on a branch', () => import('./verbs/put.js')),
  verb(
    'import',
    'stage a folder, or objects of a bucket, where they lie',
    () => import('./verbs/import.js'),
  ),
  verb('rm', 'stage the removal of files or folders', () => import('./verbs/rm.js')),
  verb('mv', 'stage another path for a file or folder', () => import('./verbs/mv.js')),
  verb('cp', 'stage a copy of a file or folder', () => import('./verbs/cp.js')),
  verb('reset', 'give up what is staged, or move a branch', () => import('./verbs/reset.js')),
  verb('status', 'list what is staged on a branch', () => import('./verbs/status.js')),
  verb('commit', 'commit what is staged on a branch', () => import('./verbs/commit.js')),
  verb(
    'conflicts',
    'list what is staged and was changed by others since',
    () => import('./verbs/conflicts.js'),
  ),
  verb('resolve', 'decide a path that conflicts', () => import('./verbs/resolve.js')),
  verb('log', 'list the commits that led to a ref', () => import('./verbs/log.js')),
  verb('show', 'show one commit', () => import('./verbs/show.js')),
  verb('merge', 'merge a commit into a branch', () => import('./verbs/merge.js')),
  verb('revert', 'undo a commit on a branch', () => import('./verbs/revert.js')),
  verb('cherry-pick', 'repeat commits on a branch', () => import('./verbs/cherry-pick.js')),
  verb(
    'merge-base',
    'print what two commits last had in common',
    () => import('./verbs/merge-base.js'),
  ),
  verb('cat-commit', "print a commit's bytes", () => import('./verbs/cat-commit.js')),
  verb('diff', 'list what differs between two moments', () => import('./verbs/diff.js')),
  verb('blame', 'name the commit that last changed each file', () => import('./verbs/blame.js')),
  verb('bisect', 'find the commit that broke something', () => import('./verbs/bisect.js')),
  verb(
    'branch',
    'list, create, rename, protect and delete branches',
    () => import('./verbs/branch.js'),
  ),
  verb('tag', 'list, create, protect and delete tags', () => import('./verbs/tag.js')),
  verb('ls', 'list files of a moment', () => import('./verbs/ls.js')),
  verb('cat', "print a file's bytes", () => import('./verbs/cat.js')),
  verb('stat', 'show all that is known of a path', () => import('./verbs/stat.js')),
  verb('du', 'count files and bytes below a path', () => import('./verbs/du.js')),
  verb('get', 'copy files of a moment to this machine', () => import('./verbs/get.js')),
  verb('mount', 'mount a commit, or a branch to work in', () => import('./verbs/mount.js')),
  verb('umount', 'unmount', () => import('./verbs/umount.js')),
  verb('mounts', 'list mounts', () => import('./verbs/mounts.js')),
  verb('prefetch', 'fetch files of a bucket into the cache', () => import('./verbs/prefetch.js')),
  verb('cache', 'show, verify and prune the cache of buckets', () => import('./verbs/cache.js')),
  verb(
    'stats',
    'count requests, bytes and cache hits of buckets',
    () => import('./verbs/stats.js'),
  ),
  verb('workspace', 'list private workspaces', () => import('./verbs/workspace.js')),
  verb('fsck', 'check that a repository is whole', () => import('./verbs/fsck.js')),
  verb('daemon', 'run, start, stop and inspect the daemon', () => import('./verbs/daemon.js')),
  verb('doctor', 'check this machine and say what to fix', () => import('./verbs/doctor.js')),
];

export function findVerb(name: string): Verb | undefined {
  return VERBS.find((each) => each.name === name);
}
