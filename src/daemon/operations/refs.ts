import type { RecordedChange, RecordKind, RefKind } from '../../store/ref-store.js';
import { TarnError } from '../../util/errors.js';
import { count, fields, text } from '../arguments.js';
import type { Context } from '../context.js';
import { firstOf } from '../listing.js';
import type { Output } from '../output.js';
import type { CreateRef, DeleteRef, RefRow } from '../protocol.js';
import type { RefChangeRow, RefHistoryArguments } from '../protocol/refs.js';
import type { Nothing, Page } from '../protocol/terms.js';
import { resolveRef } from '../resolve.js';

export const readCreateRef = fields({ repository: text, name: text, from: text, by: text });
export const readDeleteRef = fields({ repository: text, name: text, by: text });

export const readHistory = fields({ repository: text, name: text }, { limit: count, after: text });

/** The record of a ref, also of one that is gone. @throws TarnError not-found where there is none */
export async function refHistory(
  { repositories }: Context,
  kind: RefKind,
  { repository: named, name, ...page }: RefHistoryArguments,
  output: Output<RefChangeRow>,
  signal: AbortSignal,
): Promise<Nothing> {
  const { refs } = await repositories.open(named);
  const newest = refs.history(kind, name, { signal })[Symbol.asyncIterator]();
  if ((await newest.next()).done === true) {
    throw new TarnError('not-found', `repository '${named}' never had a ${kind} '${name}'`, {
      hint: `see 'tarn ${kind} list ${named}'`,
    });
  }
  return changeRows((options) => refs.history(kind, name, options), page, output, signal);
}

/** A page of a record, newest first. */
export async function changeRows<K extends RecordKind>(
  history: (options: { before?: number; signal: AbortSignal }) => AsyncIterable<RecordedChange<K>>,
  { limit = Infinity, after }: Page,
  output: Output<RefChangeRow>,
  signal: AbortSignal,
): Promise<Nothing> {
  const before = after === undefined ? undefined : Number(after);
  if (before !== undefined && !Number.isSafeInteger(before)) {
    throw new TarnError('invalid', `'${after}' is not the number of a change`, {
      hint: 'take it from the first column of the list',
    });
  }
  let left = limit;
  if (left === 0) return {};
  for await (const change of history({ ...(before === undefined ? {} : { before }), signal })) {
    await output.row(changeRow(change));
    left -= 1;
    if (left <= 0) break;
  }
  return {};
}

function changeRow(change: RecordedChange<RecordKind>): RefChangeRow {
  const { number, atMs, by, why, expected, next, renamed } = change;
  return {
    number,
    time: new Date(atMs).toISOString(),
    by,
    why,
    ...(expected === undefined ? {} : { from: expected }),
    ...(next === undefined ? {} : { to: next }),
    ...(renamed === undefined ? {} : { renamed }),
  };
}

export const readListRefs = fields({ repository: text }, { limit: count, after: text });

/** In order of names. */
export async function listRefs(
  { repositories }: Context,
  kind: RefKind,
  { repository: named, limit = Infinity, after = '' }: { repository: string } & Page,
  output: Output<RefRow>,
  signal: AbortSignal,
): Promise<Nothing> {
  const repository = await repositories.open(named);
  const refs = repository.listRefs(kind, { after, signal });
  for await (const { name, commit } of firstOf(refs, limit)) {
    await output.row({ name, commit });
  }
  return {};
}

export async function createRef(
  context: Context,
  kind: RefKind,
  args: CreateRef,
  signal: AbortSignal,
): Promise<RefRow> {
  const repository = await context.repositories.open(args.repository);
  const { commitId } = await resolveRef(context, args.repository, args.from, signal);
  await repository.createRef(kind, args.name, commitId, args.by, signal);
  return { name: args.name, commit: commitId };
}

export async function deleteRef(
  { repositories }: Context,
  kind: RefKind,
  args: DeleteRef,
  signal: AbortSignal,
): Promise<RefRow> {
  const repository = await repositories.open(args.repository);
  const commit = await repository.deleteRef(kind, args.name, args.by, signal);
  return { name: args.name, commit };
}
