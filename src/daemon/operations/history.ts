import type { MetadataCondition } from '../../history/log.js';
import { encodeCommit } from '../../model/commit-format.js';
import { keyFromText, keyToText, parseKey } from '../../model/path.js';
import { count, fields, flag, integer, listOf, oneOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { resolveRef } from '../resolve.js';
import { commitRow, subjectOf } from '../rows.js';
import { streamJob } from '../stream-job.js';

const REF = { repository: text, ref: text };
const PAGE = { limit: count, after: text };

export const log: OperationHandler<'log'> = {
  read: fields(
    { ...REF, paths: listOf(text), metadata: listOf(text), firstParent: flag, graph: flag },
    {
      ...PAGE,
      author: text,
      grep: text,
      sinceMs: integer,
      untilMs: integer,
      merges: oneOf('only', 'none'),
    },
  ),
  run: async ({ threads }, args, output, signal) => {
    const paths = args.paths.map(parseKey);
    const metadata = args.metadata.map(condition);
    await streamJob(
      threads,
      'log',
      { ...args, paths, metadata },
      {
        output,
        signal,
        row: ({ id, commit, graph }) => ({
          ...commitRow(id, commit),
          ...(graph === undefined ? {} : { graph }),
        }),
      },
    );
    return {};
  },
};

function condition(given: string): MetadataCondition {
  const at = given.indexOf('=');
  return at < 0 ? { key: given } : { key: given.slice(0, at), value: given.slice(at + 1) };
}

export const show: OperationHandler<'show'> = {
  read: fields(REF),
  run: async ({ threads }, args, _output, signal) => {
    const { id, commit, ...about } = await threads.run('show', args, { signal });
    return { ...commitRow(id, commit), ...about };
  },
};

export const catCommit: OperationHandler<'cat-commit'> = {
  read: fields(REF),
  run: async (context, { repository, ref }, output, signal) => {
    const { commitId, commit } = await resolveRef(context, repository, ref, signal);
    await output.bytes(encodeCommit(commit));
    return commitRow(commitId, commit);
  },
};

export const blame: OperationHandler<'blame'> = {
  read: fields({ ...REF, path: text }, PAGE),
  run: async ({ threads }, args, output, signal) => {
    const { after, ...rest } = args;
    const input = {
      ...rest,
      path: parseKey(args.path),
      ...(after === undefined ? {} : { after: keyFromText(after) }),
    };
    return streamJob(threads, 'blame', input, {
      output,
      signal,
      row: ({ key, size, by: { id, commit } }) => ({
        path: keyToText(key),
        size,
        commit: id,
        author: commit.author,
        date: new Date(commit.dateMs).toISOString(),
        subject: subjectOf(commit.message),
      }),
    });
  },
};

export const bisectCandidates: OperationHandler<'bisect.candidates'> = {
  read: fields({ repository: text, good: text, bad: text }),
  run: ({ threads }, args, output, signal) =>
    streamJob(threads, 'bisect', args, {
      output,
      signal,
      row: ({ id, commit }) => commitRow(id, commit),
    }),
};
