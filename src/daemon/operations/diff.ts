import type { Key } from '../../model/path.js';
import { keyFromText, keyToText, parseKey } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { isoTime } from '../../util/iso-time.js';
import type { DiffInput, Moments } from '../../workspace/jobs/diff-input.js';
import type { EntryFacts } from '../../workspace/jobs/diff-job.js';
import { count, fields, flag, listOf, text } from '../arguments.js';
import type { Context } from '../context.js';
import type { OperationHandler } from '../operation.js';
import type { DiffArguments, DiffSide } from '../protocol/history.js';
import { octal } from '../rows.js';
import { streamJob } from '../stream-job.js';

const REQUIRED = {
  repository: text,
  from: text,
  sinceParted: flag,
  paths: listOf(text),
  renames: flag,
};
const OPTIONAL = { to: text, limit: count, after: text };

export const diff: OperationHandler<'diff'> = {
  read: fields({ ...REQUIRED, namesOnly: flag }, OPTIONAL),
  run: async (context, args, output, signal) => {
    await stageSeen(context, args, signal);
    return streamJob(
      context.threads,
      'diff',
      { ...inputOf(args), namesOnly: args.namesOnly },
      {
        output,
        signal,
        row: ({ kind, key, from, before, after }) => ({
          path: keyToText(key),
          change: kind,
          ...(from === undefined ? {} : { from: keyToText(from) }),
          ...(before === undefined ? {} : { before: sideOf(before) }),
          ...(after === undefined ? {} : { after: sideOf(after) }),
        }),
      },
    );
  },
};

export const diffStat: OperationHandler<'diff.stat'> = {
  read: fields({ ...REQUIRED, depth: count }, OPTIONAL),
  run: async (context, args, output, signal) => {
    await stageSeen(context, args, signal);
    return streamJob(
      context.threads,
      'diff-stat',
      { ...inputOf(args), depth: args.depth },
      {
        output,
        signal,
        row: ({ folder, ...totals }) => ({ folder: keyToText(folder), ...totals }),
      },
    );
  },
};

/** What is staged on a branch has what programs have changed on it. */
async function stageSeen(
  { workspaces }: Context,
  { repository, from, to }: DiffArguments,
  signal: AbortSignal,
): Promise<void> {
  if (to !== undefined) return;
  await workspaces.stage(repository, parseBranchName(from), { takesOpen: false, signal });
}

function inputOf(args: DiffArguments): DiffInput & { limit?: number; after?: Key } {
  const { repository, renames, limit, after } = args;
  return {
    repository,
    renames,
    moments: momentsOf(args),
    paths: args.paths.map(parseKey),
    ...(limit === undefined ? {} : { limit }),
    ...(after === undefined ? {} : { after: keyFromText(after) }),
  };
}

function momentsOf({ from, to, sinceParted }: DiffArguments): Moments {
  if (to === undefined) return { kind: 'staged', branch: parseBranchName(from) };
  return { kind: sinceParted ? 'since-parted' : 'commits', from, to };
}

function sideOf({ kind, size, mode, mtimeSec, mtimeNsec, content, target }: EntryFacts): DiffSide {
  return {
    kind,
    size,
    mtime: isoTime(mtimeSec, mtimeNsec),
    mode: octal(mode),
    ...(content === undefined ? {} : { content }),
    ...(target === undefined ? {} : { target }),
  };
}
