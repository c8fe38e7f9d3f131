import type { RefKind } from '../../store/ref-store.js';
import { fields, text } from '../arguments.js';
import type { Context } from '../context.js';
import type { Output } from '../output.js';
import type { CreateRef, DeleteRef, RefRow } from '../protocol.js';
import type { Nothing } from '../protocol/terms.js';

export const readCreateRef = fields({ repository: text, name: text, from: text, by: text });
export const readDeleteRef = fields({ repository: text, name: text, by: text });

export async function listRefs(
  { repositories }: Context,
  kind: RefKind,
  name: string,
  output: Output<RefRow>,
  signal: AbortSignal,
): Promise<Nothing> {
  const repository = await repositories.open(name);
  for await (const { name: ref, commit } of repository.listRefs(kind, { signal })) {
    await output.row({ name: ref, commit });
  }
  return {};
}

export async function createRef(
  { repositories }: Context,
  kind: RefKind,
  args: CreateRef,
  signal: AbortSignal,
): Promise<RefRow> {
  const repository = await repositories.open(args.repository);
  const { commitId } = await repository.resolve(args.from, signal);
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
