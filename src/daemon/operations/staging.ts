import type { Key } from '../../model/path.js';
import { keyFromText, keyToText, parseKey, parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { branchOfWorkspace, parseWorkspaceName } from '../../model/workspace-name.js';
import type { LiveWorkspace } from '../../overlay/live-workspace.js';
import type { Kept } from '../../overlay/staging/edits.js';
import type { Change } from '../../workspace/changes.js';
import { count, fields, flag, listOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import type { ChangeRow, StatusResult } from '../protocol/staging.js';
import { onBranch } from '../on-branch.js';
import { resolveRef } from '../resolve.js';
import { leftRows } from '../rows.js';
import { streamJob } from '../stream-job.js';

export const rm: OperationHandler<'rm'> = {
  read: fields({ repository: text, branch: text, paths: listOf(text), recursive: flag }),
  run: async ({ threads }, args, _output, signal) => {
    const { repository, recursive } = args;
    const branch = parseBranchName(args.branch);
    const paths = args.paths.map(parseKey);
    return threads.run('rm', { repository, branch, paths, recursive }, { signal });
  },
};

export const mv: OperationHandler<'mv'> = {
  read: fields({ repository: text, branch: text, from: text, to: text, force: flag }),
  run: async ({ threads }, args, _output, signal) => {
    const branch = parseBranchName(args.branch);
    const [from, to] = [parseKey(args.from), parsePrefix(args.to)];
    return threads.run('mv', { ...args, branch, from, to }, { signal });
  },
};

export const cp: OperationHandler<'cp'> = {
  read: fields({
    repository: text,
    branch: text,
    fromRef: text,
    from: text,
    to: text,
    force: flag,
  }),
  run: async (context, args, _output, signal) => {
    const { threads, workspaces } = context;
    const branch = parseBranchName(args.branch);
    const [from, to] = [parseKey(args.from), parsePrefix(args.to)];
    const source = await resolveRef(context, args.repository, args.fromRef, signal);
    if (source.branch !== undefined) {
      await workspaces.stage(args.repository, source.branch, { takesOpen: false, signal });
    }
    return threads.run('cp', { ...args, branch, from, to }, { signal });
  },
};

const resetOnBranch = onBranch<'reset'>({
  read: fields({ repository: text, branch: text, paths: listOf(text) }),
  run: async ({ threads }, args, _output, signal) => {
    const branch = parseWorkspaceName(args.branch);
    const paths = args.paths.map(parseKey);
    return threads.run('reset', { ...args, branch, paths }, { signal });
  },
});

/** All of a private workspace can be given up though its branch was deleted, elsewhere, meanwhile. */
export const reset: OperationHandler<'reset'> = {
  read: resetOnBranch.read,
  run: async (context, args, output, signal) => {
    const { home, repositories, workspaces, threads } = context;
    const { repository, branch } = args;
    const isOwn = home.privateWorkspaces(repository).includes(branch);
    if (isOwn && args.paths.length === 0) {
      const { refs } = await repositories.open(repository);
      if ((await refs.get('branch', branchOfWorkspace(branch), signal)) === undefined) {
        const { version: versionMax } = await repositories.workspace(repository, branch);
        await workspaces.giveUp(repository, branch);
        await threads.run('discard', { repository, branch, versionMax });
        return { reset: true };
      }
    }
    return resetOnBranch.run(context, args, output, signal);
  },
};

export const branchReset: OperationHandler<'branch.reset'> = {
  read: fields({ repository: text, branch: text, to: text, by: text }),
  run: async (context, args, _output, signal) => {
    const { repository: named, by } = args;
    const branch = parseBranchName(args.branch);
    const repository = await context.repositories.open(named);
    const { commitId: to } = await resolveRef(context, named, args.to, signal);
    const { commitId: from } = await repository.resolve(`${branch}@`, signal);
    if (from !== to) await repository.resetBranch({ branch, from, to, by }, signal);
    context.log.info('branch reset', { repository: named, branch, from, to });
    return { branch, from, to };
  },
};

export const status: OperationHandler<'status'> = {
  read: fields({ repository: text, branch: text }, { limit: count, after: text }),
  run: async ({ threads, workspaces }, args, output, signal) => {
    const { repository, limit, after } = args;
    const branch = parseWorkspaceName(args.branch);
    const page = {
      ...(limit === undefined ? {} : { limit }),
      ...(after === undefined ? {} : { after: keyFromText(after) }),
    };
    const live = await workspaces.live(repository, branch);
    if (live !== undefined) return liveStatus(live, page, (row) => output.row(row), signal);
    const input = { repository, branch, ...page };
    const end = await streamJob(threads, 'status', input, { output, signal, row: rowOf });
    return { branch, ...end };
  },
};

/** With what programs have changed through mounts, which is not staged for that. */
export async function liveStatus(
  live: LiveWorkspace,
  page: { readonly limit?: number; readonly after?: Key },
  take: (row: ChangeRow) => Promise<void> | void,
  signal: AbortSignal,
): Promise<StatusResult> {
  await live.refresh(signal);
  const kept: Kept[] = [];
  const end = await live.list({ ...page, signal }, async (rows) => {
    for (const row of rows) {
      if (row.is === 'kept') kept.push({ path: row.path, reason: row.reason, why: row.why });
      else await take(changeRow(row));
    }
  });
  const result = { branch: live.branch, ...end };
  return kept.length === 0 ? result : { ...result, left: leftRows(kept) };
}

function changeRow({ path, change, entries, size, sizeBefore }: Change): ChangeRow {
  const before = sizeBefore === undefined ? {} : { sizeBefore };
  return rowOf({ path, change, entries, size, ...before });
}

function rowOf({ path, entries, ...change }: Change): ChangeRow {
  return { path: keyToText(path), ...change, ...(entries > 1 ? { entries } : {}) };
}
