import type { Handlers } from './operation.js';
import {
  branchCreate,
  branchDelete,
  branchHistory,
  branchList,
  branchRename,
} from './operations/branch.js';
import { cachePrune, cacheShow, cacheVerify, prefetch } from './operations/cache.js';
import { cat } from './operations/cat.js';
import { conflicts, resolve } from './operations/conflicts.js';
import { commit } from './operations/commit.js';
import { daemonStatus, daemonStop } from './operations/daemon.js';
import { doctorRepository } from './operations/doctor.js';
import { fsck } from './operations/fsck.js';
import { get } from './operations/get.js';
import { diff, diffStat } from './operations/diff.js';
import { bisectCandidates, blame, catCommit, log, show } from './operations/history.js';
import { importFiles } from './operations/import.js';
import { du, ls, stat } from './operations/list.js';
import { cherryPick, merge, mergeBase, revert } from './operations/merging.js';
import { mount, mounts, umount } from './operations/mount.js';
import { put } from './operations/put.js';
import { repoAdd, repoCreate, repoDelete, repoList, repoShow } from './operations/repo.js';
import { onBranch } from './on-branch.js';
import { branchReset, cp, mv, reset, rm, status } from './operations/staging.js';
import { settingsChange, settingsHistory, settingsShow } from './operations/settings.js';
import { stats } from './operations/stats.js';
import { workspaceList } from './operations/workspace.js';
import { tagCreate, tagDelete, tagHistory, tagList } from './operations/tag.js';

export const HANDLERS: Handlers = {
  'repo.create': repoCreate,
  'repo.add': repoAdd,
  'repo.list': repoList,
  'repo.show': repoShow,
  'repo.delete': repoDelete,
  'branch.list': branchList,
  'branch.create': branchCreate,
  'branch.rename': branchRename,
  'branch.delete': branchDelete,
  'branch.history': branchHistory,
  'tag.list': tagList,
  'tag.create': tagCreate,
  'tag.delete': tagDelete,
  'tag.history': tagHistory,
  'settings.show': settingsShow,
  'settings.history': settingsHistory,
  'settings.change': settingsChange,
  put: onBranch(put),
  import: onBranch(importFiles),
  rm: onBranch(rm),
  mv: onBranch(mv),
  cp: onBranch(cp),
  reset,
  'branch.reset': onBranch(branchReset),
  status,
  conflicts: onBranch(conflicts),
  resolve: onBranch(resolve),
  commit,
  ls,
  stat,
  du,
  cat,
  get,
  log,
  show,
  merge: onBranch(merge),
  revert: onBranch(revert),
  'cherry-pick': onBranch(cherryPick),
  'merge-base': mergeBase,
  'cat-commit': catCommit,
  diff,
  'diff.stat': diffStat,
  blame,
  'bisect.candidates': bisectCandidates,
  mount,
  umount,
  mounts,
  'workspace.list': workspaceList,
  fsck,
  prefetch,
  'cache.show': cacheShow,
  'cache.verify': cacheVerify,
  'cache.prune': cachePrune,
  stats,
  'daemon.status': daemonStatus,
  'daemon.stop': daemonStop,
  'doctor.repository': doctorRepository,
};
