import type { Entry } from '../../model/entry.js';
import { entrySize } from '../../model/entry.js';
import { importedUrl } from '../../model/imported.js';
import type { Key } from '../../model/path.js';
import { keyToText, parseKey, prefixEnd } from '../../model/path.js';
import type { View } from '../../repo/view.js';
import type { MaybePromise } from '../../util/async.js';
import { andThen } from '../../util/async.js';
import { TarnError } from '../../util/errors.js';
import { isoTime } from '../../util/iso-time.js';
import { count, flag, fields, text } from '../arguments.js';
import { emptyAttributes, firstOf, hasBelow, listAll, visitDirectory } from '../listing.js';
import type { Listed } from '../listing.js';
import { directoryPrefix, entryAt, nothingThere, openMoment, placeName } from '../moment.js';
import type { OperationHandler } from '../operation.js';
import type { Output } from '../output.js';
import type { ListRow } from '../protocol.js';
import type { Place } from '../protocol/terms.js';
import { attributesRow, entryRow, octal } from '../rows.js';

const PLACE = { repository: text, ref: text, path: text };

export const ls: OperationHandler<'ls'> = {
  read: fields({ ...PLACE, recursive: flag, long: flag }, { limit: count, after: text }),
  run: async (context, args, output, signal) => {
    const { view, key } = await openMoment(context, args, signal);
    const { limit = Infinity, after } = args;
    const prefix = directoryPrefix(key);
    const isDirectory = await hasBelow(view.cursor(signal), prefix);
    const entry = isDirectory ? undefined : await entryAt(view, key, signal);
    if (entry !== undefined) {
      if (limit > 0 && after === undefined) await output.row(entryRow(keyToText(key), entry));
    } else if (isDirectory) {
      const isWhole = !args.recursive;
      const from =
        after === undefined ? prefix : await behind(view, prefix, after, isWhole, signal);
      if (args.recursive) await listRecursively(view, prefix, { from, limit }, output, signal);
      else await listOne(view, prefix, { from, limit }, args.long, output, signal);
    } else if (key !== '') {
      throw await nothingIn(view, key, args, signal);
    }
    return {};
  },
};

export const stat: OperationHandler<'stat'> = {
  read: fields(PLACE),
  run: async (context, args, _output, signal) => {
    const { view, key } = await openMoment(context, args, signal);
    const { repository, ref, commitId: commit } = view.source;
    const source = { repository, ref, commit };
    const entry = await entryAt(view, key, signal);
    if (entry !== undefined) {
      return { ...entryRow(keyToText(key), entry), ...source, ...details(entry) };
    }
    const prefix = directoryPrefix(key);
    if (key !== '' && !(await hasBelow(view.cursor(signal), prefix))) throw nothingThere(args);
    return { ...(await directoryRow(view, prefix, true, true, signal)), ...source };
  },
};

export const du: OperationHandler<'du'> = {
  read: fields(PLACE),
  run: async (context, args, _output, signal) => {
    const { view, key } = await openMoment(context, args, signal);
    const path = keyToText(key);
    const entry = key.endsWith('/') ? undefined : await entryAt(view, key, signal);
    const below = await view.totals(directoryPrefix(key), signal);
    if (entry === undefined && below.entries === 0 && key !== '') {
      throw await nothingIn(view, key, args, signal);
    }
    if (entry === undefined) return { path, ...below };
    return { path, entries: below.entries + 1, bytes: below.bytes + entrySize(entry) };
  },
};

/** Why nothing was found: `a.txt/` asks for a folder where a file is. */
async function nothingIn(
  view: View,
  key: Key,
  place: Place,
  signal: AbortSignal,
): Promise<TarnError> {
  const file = key.replace(/\/$/, '') as Key;
  const isFile = file !== key && (await view.get(file, signal)) !== undefined;
  if (!isFile) return nothingThere(place);
  return new TarnError('not-directory', `'${placeName(place)}' is a file, not a folder`, {
    hint: "leave out the '/' at its end",
  });
}

/** Where in a listing to begin, and how many rows to give. */
interface Part {
  readonly from: Key;
  readonly limit: number;
}

/**
 * The key behind the row `after`, a path from the root; a folder's may end with `/`.
 * @param isWhole a folder's row stands for all that is below it
 * @throws TarnError invalid when it does not lie in what is listed
 */
async function behind(
  view: View,
  prefix: Key,
  after: string,
  isWhole: boolean,
  signal: AbortSignal,
): Promise<Key> {
  const key = parseKey(after);
  if (!key.startsWith(prefix)) {
    throw new TarnError('invalid', `'${after}' does not lie in '${keyToText(prefix)}'`, {
      hint: 'give the path from the root of the repository, as --json prints it',
    });
  }
  const next = `${key}\0` as Key;
  const isFile = !key.endsWith('/') && (await view.get(key, signal)) !== undefined;
  if (isFile) return next;
  const below = directoryPrefix(key);
  if (isWhole) {
    if (!(await hasBelow(view.cursor(signal), below))) return next;
    return prefixEnd(below) ?? next;
  }
  const hasMarker = (await view.get(below, signal)) !== undefined;
  return hasMarker ? (`${below}\0` as Key) : next;
}

async function listRecursively(
  view: View,
  prefix: Key,
  { from, limit }: Part,
  output: Output<ListRow>,
  signal: AbortSignal,
): Promise<void> {
  const cursor = view.cursor(signal);
  const attributes = emptyAttributes();
  for await (const key of firstOf(listAll(cursor, prefix, signal, from), limit)) {
    cursor.attributes(attributes);
    await output.row(rowOf(key, cursor.entry.bind(cursor), attributes));
  }
}

/** A symlink's row needs its target, which only the whole entry tells. */
function rowOf(
  key: Key,
  entry: () => Entry,
  attributes: ReturnType<typeof emptyAttributes>,
): ListRow {
  const isMarker = key.endsWith('/') && attributes.kind === 'file' && attributes.size === 0;
  const path = keyToText(key);
  if (attributes.kind === 'symlink') return entryRow(path, entry());
  const row = attributesRow(isMarker ? path.slice(0, -1) : path, attributes);
  return isMarker ? { ...row, kind: 'directory' } : row;
}

async function listOne(
  view: View,
  prefix: Key,
  { from, limit }: Part,
  long: boolean,
  output: Output<ListRow>,
  signal: AbortSignal,
): Promise<void> {
  const attributes = emptyAttributes();
  const part = { prefix, from, limit };
  const visit = (listed: Listed): MaybePromise<unknown> =>
    andThen(listedRow(view, listed, long, attributes, signal), (row) => output.row(row));
  await visitDirectory(view.cursor(signal), part, visit, signal);
}

function listedRow(
  view: View,
  listed: Listed,
  long: boolean,
  attributes: ReturnType<typeof emptyAttributes>,
  signal: AbortSignal,
): MaybePromise<ListRow> {
  if (listed.kind === 'directory') {
    return directoryRow(view, listed.key, listed.marker, long, signal);
  }
  const { cursor, key } = listed;
  cursor.attributes(attributes);
  return rowOf(key, () => cursor.entry(), attributes);
}

function directoryRow(
  view: View,
  prefix: Key,
  mayHaveMarker: boolean,
  long: boolean,
  signal: AbortSignal,
): MaybePromise<ListRow> {
  const row: ListRow = { path: keyToText(prefix).replace(/\/$/, ''), kind: 'directory' };
  return long ? withTotals(row, view, prefix, mayHaveMarker, signal) : row;
}

async function withTotals(
  row: ListRow,
  view: View,
  prefix: Key,
  mayHaveMarker: boolean,
  signal: AbortSignal,
): Promise<ListRow> {
  const marker = mayHaveMarker && prefix !== '' ? await view.get(prefix, signal) : undefined;
  const { entries, bytes } = await view.totals(prefix, signal);
  return {
    ...row,
    size: bytes,
    entries: entries - (marker === undefined ? 0 : 1),
    ...(marker === undefined
      ? {}
      : { mtime: isoTime(marker.mtimeSec, marker.mtimeNsec), mode: octal(marker.mode) }),
  };
}

function details(entry: Entry): Partial<Awaited<ReturnType<typeof stat.run>>> {
  const { metadata } = entry;
  const shared = metadata === undefined ? {} : { metadata };
  if (entry.kind === 'symlink') return shared;
  const { content, contentType, etag } = entry;
  const importedFrom = importedUrl(entry);
  return {
    ...shared,
    content,
    ...(importedFrom === undefined ? {} : { importedFrom }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(etag === undefined ? {} : { etag }),
  };
}
