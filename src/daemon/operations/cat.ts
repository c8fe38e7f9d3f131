import { keyToText } from '../../model/path.js';
import { TarnError } from '../../util/errors.js';
import { count, fields, text } from '../arguments.js';
import { hasBelow } from '../listing.js';
import { directoryPrefix, entryAt, nothingThere, openMoment, placeName } from '../moment.js';
import type { OperationHandler } from '../operation.js';
import { streamContent } from '../stream-content.js';

export const cat: OperationHandler<'cat'> = {
  read: fields({ repository: text, ref: text, path: text }, { start: count, end: count }),
  run: async (context, args, output, signal) => {
    const { view, key } = await openMoment(context, args, signal);
    const entry = await entryAt(view, key, signal);
    if (entry === undefined) {
      const isDirectory = key === '' || (await hasBelow(view.cursor(signal), directoryPrefix(key)));
      if (!isDirectory) throw nothingThere(args);
      throw new TarnError('is-directory', `'${placeName(args)}' is a folder`, {
        hint: `name a file in it; see 'tarn ls ${placeName(args)}'`,
      });
    }
    if (entry.kind === 'symlink') {
      throw new TarnError(
        'invalid',
        `'${keyToText(key)}' is a symbolic link to '${entry.target}'`,
        {
          hint: 'name the file it points to',
        },
      );
    }
    const content = await view.open(key, entry);
    try {
      const { start = 0, end = content.size } = args;
      return { bytes: await streamContent(content, start, end, output, signal) };
    } finally {
      content.close();
    }
  },
};
