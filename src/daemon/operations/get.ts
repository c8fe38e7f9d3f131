import type { Entry } from '../../model/entry.js';
import { entrySize } from '../../model/entry.js';
import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import type { View } from '../../repo/view.js';
import { TarnError } from '../../util/errors.js';
import { fields, flag, text } from '../arguments.js';
import { hasBelow, listAll } from '../listing.js';
import { directoryPrefix, entryAt, nothingThere, openMoment, placeName } from '../moment.js';
import type { OperationHandler } from '../operation.js';
import type { Output } from '../output.js';
import type { GetRow } from '../protocol.js';
import { streamContent } from '../stream-content.js';

export const get: OperationHandler<'get'> = {
  read: fields({ repository: text, ref: text, path: text, recursive: flag }),
  run: async (context, args, output, signal) => {
    const { view, key } = await openMoment(context, args, signal);
    const prefix = directoryPrefix(key);
    const isDirectory = key === '' || (await hasBelow(view.cursor(signal), prefix));
    if (args.recursive && isDirectory) return sendAll(view, prefix, output, signal);
    const entry = await entryAt(view, key, signal);
    if (entry === undefined) {
      if (!isDirectory) throw nothingThere(args);
      throw new TarnError('is-directory', `'${placeName(args)}' is a folder`, {
        hint: 'add -r to copy what is below it',
      });
    }
    if (args.recursive) {
      throw new TarnError('not-directory', `'${placeName(args)}' is a file`, {
        hint: 'leave -r out to copy it',
      });
    }
    await send(view, key, entry, '', output, signal);
    return { files: 1, bytes: entrySize(entry) };
  },
};

async function sendAll(
  view: View,
  prefix: Key,
  output: Output<GetRow>,
  signal: AbortSignal,
): Promise<{ files: number; bytes: number }> {
  const totals = { files: 0, bytes: 0 };
  const cursor = view.cursor(signal);
  for await (const key of listAll(cursor, prefix, signal)) {
    const entry = cursor.entry();
    const path = keyToText(key.slice(prefix.length) as Key);
    await send(view, key, entry, path, output, signal);
    totals.files += 1;
    totals.bytes += entrySize(entry);
  }
  return totals;
}

async function send(
  view: View,
  key: Key,
  entry: Entry,
  path: string,
  output: Output<GetRow>,
  signal: AbortSignal,
): Promise<void> {
  const { mode, mtimeSec, mtimeNsec } = entry;
  const shared = { path, mode, mtimeSec, mtimeNsec };
  if (entry.kind === 'symlink') {
    await output.row({ ...shared, kind: 'symlink', size: 0, target: entry.target });
    return;
  }
  const isMarker = key.endsWith('/') && entry.size === 0;
  await output.row({ ...shared, kind: isMarker ? 'directory' : 'file', size: entry.size });
  if (entry.size === 0) return;
  const content = await view.open(key, entry);
  try {
    await streamContent(content, 0, entry.size, output, signal);
  } finally {
    content.close();
  }
}
