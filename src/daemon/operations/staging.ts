import { keyFromText, keyToText, parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import type { Change } from '../../workspace/changes.js';
import { count, fields, flag, listOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import type { ChangeRow } from '../protocol/staging.js';
import { resolveRef } from '../resolve.js';
import { streamJob } from '../stream-job.js';

export const rm: OperationHandler<'rm'> = {
  read: fields({ repository: text, branch: text, paths: listOf(text), recursive: flag }),
  run: async ({ threads }, args, _output, signal) => {
    const { repository, recursive } = args;
    const branch = parseBranchName(args.branch);
    const paths = args.paths.map(parsePrefix);
    return threads.run('rm', { repository, branch, paths, recursive }, { signal });
  },
};

export const mv: OperationHandler<'mv'> = {
  read: fields({ repository: text, branch: text, from: text, to: text, force: flag }),
  run: async ({ threads }, args, _output, signal) => {
    const branch = parseBranchName(args.branch);
    const [from, to] = [parsePrefix(args.from), parsePrefix(args.to)];
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
  run: async ({ threads }, args, _output, signal) => {
    const branch = parseBranchName(args.branch);
    const [from, to] = [parsePrefix(args.from), parsePrefix(args.to)];
    return threads.run('cp', { ...args, branch, from, to }, { signal });
  },
};

export const reset: OperationHandler<'reset'> = {
  read: fields({ repository: text, branch: text, paths: listOf(text) }),
  run: async ({ threads }, args, _output, signal) => {
    const branch = parseBranchName(args.branch);
    const paths = args.paths.map(parsePrefix);
    return threads.run('reset', { ...args, branch, paths }, { signal });
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
  run: async ({ threads }, args, output, signal) => {
    const { repository, limit, after } = args;
    const branch = parseBranchName(args.branch);
    const input = {
      repository,
      branch,
      ...(limit === undefined ? {} : { limit }),
      ...(after === undefined ? {} : { after: keyFromText(after) }),
    };
    const end = await streamJob(threads, 'status', input, { output, signal, row: rowOf });
    return { branch, ...end };
  },
};

function rowOf({ path, entries, ...change }: Change): ChangeRow {
  return { path: keyToText(path), ...change, ...(entries > 1 ? { entries } : {}) };
}
