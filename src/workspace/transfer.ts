import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import type { Span } from '../model/span.js';
import { spanOfKey, spanOfPrefix } from '../model/span.js';
import type { View } from '../repo/view.js';
import type { Edit } from '../tree/edit.js';
import { TarnError } from '../util/errors.js';

/** Where something is moved or copied, and how. */
export interface TransferOptions {
  /** Overwrite what is there. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

/** What is moved or copied. */
export type Source =
  | { readonly kind: 'file'; readonly key: Key; readonly entry: Entry }
  /** All that begins with `prefix`: ends with `/`, or is empty. */
  | { readonly kind: 'directory'; readonly prefix: Key; readonly entries: number };

/** A directory's way to its new place. */
export interface DirectoryTransfer {
  readonly kind: 'move' | 'copy';
  readonly source: Key;
  readonly target: Key;
}

/**
 * The file of that name or, where there is none, the directory.
 * @throws TarnError not-found
 */
export async function sourceAt(view: View, path: Key, signal?: AbortSignal): Promise<Source> {
  if (path !== '' && !path.endsWith('/')) {
    const entry = await view.get(path, signal);
    if (entry !== undefined) return { kind: 'file', key: path, entry };
  }
  const prefix = directoryPrefix(path);
  const { entries } = await view.totals(prefix, signal);
  if (entries > 0) return { kind: 'directory', prefix, entries };
  const { repository, ref } = view.source;
  throw new TarnError('not-found', `there is nothing at '${place(repository, ref, path)}'`, {
    hint: `see what there is with 'tarn ls ${repository}/${ref}'`,
  });
}

/**
 * The path that `source` gets: `to` itself, or its own name in `to` when this is the root or ends
 * with `/`. A directory's path ends with `/`.
 * @throws TarnError exists, is-directory, not-directory; invalid for a directory that would come to
 *   lie in itself
 */
export async function targetOf(
  view: View,
  source: Source,
  to: Key,
  { force = false, signal }: TransferOptions,
): Promise<Key> {
  const target = pathFor(source, to);
  const file = withoutSlash(target);
  const { repository, ref } = view.source;
  const name = place(repository, ref, file);
  for (let end = file.indexOf('/'); end >= 0; end = file.indexOf('/', end + 1)) {
    const ancestor = file.slice(0, end) as Key;
    if ((await view.get(ancestor, signal)) === undefined) continue;
    throw new TarnError(
      'not-directory',
      `'${place(repository, ref, ancestor)}' is a file, so that nothing can lie in it`,
    );
  }
  const isFile = file !== '' && (await view.get(file, signal)) !== undefined;
  const { entries } = await view.totals(directoryPrefix(file), signal);
  if (source.kind === 'file' && entries > 0) {
    throw new TarnError('is-directory', `'${name}' is a folder`, {
      hint: `to put the file into it, write '${name}/'`,
    });
  }
  if (force || (!isFile && entries === 0)) return target;
  throw new TarnError('exists', `there is something at '${name}' already`, {
    hint: isFile
      ? 'add --force to overwrite it'
      : `write '${name}/' to go into that folder, or add --force to replace all of it`,
  });
}

/** @throws TarnError invalid */
export function checkApart(kind: 'move' | 'copy', source: Key, target: Key): void {
  if (source === target) {
    throw new TarnError('invalid', `'${keyToText(source)}' is there already`);
  }
  const isDirectory = source === '' || source.endsWith('/');
  if (isDirectory && target.startsWith(source)) {
    throw new TarnError(
      'invalid',
      `a folder cannot be ${kind === 'move' ? 'moved' : 'copied'} into itself, as '${keyToText(source)}' into '${keyToText(target)}'`,
    );
  }
}

/** Where nothing is left of what was there before. */
export function decidedBy(target: Key): Span[] {
  const file = withoutSlash(target);
  return file === '' ? [spanOfPrefix(file)] : [spanOfKey(file), spanOfPrefix(target)];
}

/** Of the tree that the directory comes to lie in. @param from the tree that has it */
export function editsOf({ kind, source, target }: DirectoryTransfer, from: NodeId): Edit[] {
  const copied: Edit = {
    kind: 'replace',
    span: spanOfPrefix(target),
    with: { tree: from, source, target },
  };
  const edits: Edit[] = [copied];
  // A file of the name, which --force overwrites.
  if (target !== '') edits.unshift({ kind: 'remove', key: withoutSlash(target) });
  if (kind === 'copy' || source.startsWith(target)) return edits;
  const emptied: Edit = { kind: 'replace', span: spanOfPrefix(source) };
  return source < target ? [emptied, ...edits] : [...edits, emptied];
}

function pathFor(source: Source, to: Key): Key {
  if (source.kind === 'file') {
    const name = source.key.slice(source.key.lastIndexOf('/') + 1);
    return (isInto(to) ? `${to}${name}` : to) as Key;
  }
  const name = source.prefix.slice(source.prefix.lastIndexOf('/', source.prefix.length - 2) + 1);
  return (isInto(to) ? `${to}${name}` : `${to}/`) as Key;
}

function isInto(to: Key): boolean {
  return to === '' || to.endsWith('/');
}

/** `raw/run` to `raw/run/`; the root stays empty. */
function directoryPrefix(key: Key): Key {
  return key === '' || key.endsWith('/') ? key : (`${key}/` as Key);
}

function withoutSlash(key: Key): Key {
  return (key.endsWith('/') ? key.slice(0, -1) : key) as Key;
}

function place(repository: string, ref: string, path: Key): string {
  return path === '' ? `${repository}/${ref}` : `${repository}/${ref}/${keyToText(path)}`;
}

/** @throws TarnError invalid when it names no directory */
export function checkPrefix(prefix: Key): void {
  if (prefix === '' || prefix.endsWith('/')) return;
  throw new TarnError('invalid', `'${keyToText(prefix)}' does not end with '/'`);
}
