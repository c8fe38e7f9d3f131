import type { Conflict } from '../../history/three-way.js';
import { parsePreference } from '../../history/prefer.js';
import type { Entry } from '../../model/entry.js';
import { entrySize } from '../../model/entry.js';
import { keyToText } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { TarnError } from '../../util/errors.js';
import { isoTime } from '../../util/iso-time.js';
import type { Brought } from '../../workspace/jobs/bring.js';
import { count, fields, flag, listOf, text, textMap } from '../arguments.js';
import type { JobProgress } from '../../workspace/jobs/job.js';
import type { Log } from '../log.js';
import type { OperationHandler } from '../operation.js';
import type { Output } from '../output.js';
import type { BringArguments, BringResult, ConflictRow, Version } from '../protocol/merging.js';
import { octal } from '../rows.js';

const BRING = {
  repository: text,
  branch: text,
  author: text,
  metadata: textMap,
  prefer: listOf(text),
  dryRun: flag,
} as const;

export const merge: OperationHandler<'merge'> = {
  read: fields({ ...BRING, source: text, squash: flag, fastForward: flag }, { message: text }),
  run: async ({ threads, log }, args, output, signal) => {
    const { squash: isSquash, fastForward: mayFastForward, source, message } = args;
    const input = {
      ...bringInput(args),
      source,
      isSquash,
      mayFastForward,
      ...(message === undefined ? {} : { message }),
    };
    const hears = { ...listeners(output), signal };
    const { brought, leavesStaged } = await threads.run('merge', input, hears);
    note(log, 'merged', args, brought, { source });
    return { ...resultOf(args, brought), ...(leavesStaged ? { leavesStaged } : {}) };
  },
};

export const revert: OperationHandler<'revert'> = {
  read: fields({ ...BRING, commit: text }, { mainline: count, message: text }),
  run: async ({ threads, log }, args, output, signal) => {
    const { commit, mainline, message } = args;
    const input = {
      ...bringInput(args),
      commit,
      ...(mainline === undefined ? {} : { mainline }),
      ...(message === undefined ? {} : { message }),
    };
    const brought = await threads.run('revert', input, { ...listeners(output), signal });
    note(log, 'reverted', args, brought, { reverted: commit });
    return resultOf(args, brought);
  },
};

export const cherryPick: OperationHandler<'cherry-pick'> = {
  read: fields({ ...BRING, commits: listOf(text) }, { mainline: count }),
  run: async ({ threads, log }, args, output, signal) => {
    const { commits, mainline } = args;
    const input = {
      ...bringInput(args),
      commits,
      ...(mainline === undefined ? {} : { mainline }),
    };
    const brought = await threads.run('cherry-pick', input, { ...listeners(output), signal });
    note(log, 'cherry-picked', args, brought, { picked: commits.length });
    return resultOf(args, brought);
  },
};

export const mergeBase: OperationHandler<'merge-base'> = {
  read: fields({ repository: text, a: text, b: text }),
  run: async ({ threads }, args, _output, signal) => {
    const bases = await threads.run('merge-base', args, { signal });
    if (bases.length > 0) return { bases };
    throw new TarnError('not-found', `'${args.a}' and '${args.b}' have no commit in common`);
  },
};

/** Checked before a thread is asked. @throws TarnError invalid */
function bringInput({ repository, branch, author, metadata, prefer, dryRun }: BringArguments) {
  for (const each of prefer) parsePreference(each);
  return {
    repository,
    branch: parseBranchName(branch),
    author,
    metadata,
    preferences: prefer,
    isDryRun: dryRun,
  };
}

function listeners(output: Output<ConflictRow>) {
  const onProgress = (progress: JobProgress): void => output.progress(progress);
  const onRows = async (conflicts: readonly Conflict[]): Promise<void> => {
    for (const conflict of conflicts) {
      const row = conflictRow(conflict);
      await output.row(conflict.isBaseUnclear ? { ...row, baseUnclear: true } : row);
    }
  };
  return { onRows, onProgress };
}

export function conflictRow({
  key,
  base,
  ours,
  theirs,
}: Pick<Conflict, 'key' | 'base' | 'ours' | 'theirs'>): ConflictRow {
  return {
    path: keyToText(key),
    ...(base === undefined ? {} : { base: versionOf(base) }),
    ...(ours === undefined ? {} : { ours: versionOf(ours) }),
    ...(theirs === undefined ? {} : { theirs: versionOf(theirs) }),
  };
}

function versionOf(entry: Entry): Version {
  const { kind, mode, mtimeSec, mtimeNsec } = entry;
  return {
    kind,
    size: entrySize(entry),
    mode: octal(mode),
    mtime: isoTime(mtimeSec, mtimeNsec),
    ...(entry.kind === 'file' ? { content: entry.content } : { target: entry.target }),
  };
}

function note(
  log: Log,
  event: string,
  { repository, branch, dryRun }: BringArguments,
  brought: Brought,
  about: Readonly<Record<string, string | number>>,
): void {
  if (dryRun || brought.kind === 'nothing') return;
  const place = { repository, branch, ...about };
  if (brought.kind === 'done') log.info(event, { ...place, commit: brought.commit });
  else log.info('conflicts', { ...place, conflicts: brought.count });
}

function resultOf({ repository, branch, dryRun }: BringArguments, brought: Brought): BringResult {
  const place = { repository, branch, dryRun };
  switch (brought.kind) {
    case 'nothing':
      return { ...place, result: 'nothing', onto: brought.head };
    case 'conflicts': {
      const { onto, source, count: conflicts } = brought;
      return { ...place, result: 'conflicts', onto, source, conflicts };
    }
    case 'done': {
      const { onto, commit, isFastForward, made, skipped, settled, effect } = brought;
      return {
        ...place,
        result: 'done',
        onto,
        ...(commit === undefined ? {} : { commit }),
        fastForward: isFastForward,
        commits: made,
        skipped,
        settled,
        before: effect.before,
        after: effect.after,
        ...effect.changes,
      };
    }
  }
}
