import { keyToText } from '../../model/path.js';
import type { Key } from '../../model/path.js';
import { verifyCache } from '../../repo/cache-verify.js';
import { Prefetch } from '../../repo/prefetch.js';
import { TarnError } from '../../util/errors.js';
import { parseGlob } from '../../util/glob.js';
import { count, fields, text } from '../arguments.js';
import { listAll } from '../listing.js';
import { directoryPrefix, entryAt, nothingThere, openMoment } from '../moment.js';
import type { OperationHandler } from '../operation.js';

export const cacheShow: OperationHandler<'cache.show'> = {
  read: fields({}),
  run: async ({ objectCache }) => ({
    directory: objectCache.directory,
    ...objectCache.total(),
    ...objectCache.limits,
    ...objectCache.counts,
  }),
};

export const cacheVerify: OperationHandler<'cache.verify'> = {
  read: fields({}),
  run: async ({ objectCache, log }, _args, output, signal) => {
    const counts = await verifyCache(
      objectCache,
      ({ objects, bytes }) => output.progress({ files: objects, bytes }),
      signal,
    );
    log.info('cache verified', { ...counts });
    return counts;
  },
};

export const cachePrune: OperationHandler<'cache.prune'> = {
  read: fields({}, { bytesMax: count }),
  run: async ({ objectCache, log }, { bytesMax = 0 }) => {
    const freed = await objectCache.prune(bytesMax);
    const { objects: objectsLeft, bytes: bytesLeft } = objectCache.total();
    log.info('cache pruned', { ...freed, objectsLeft, bytesLeft });
    return { ...freed, objectsLeft, bytesLeft };
  },
};

export const prefetch: OperationHandler<'prefetch'> = {
  read: fields({ repository: text, ref: text, path: text }, { pattern: text }),
  run: async (context, args, output, signal) => {
    const { repository, view, key } = await openMoment(context, args, signal);
    const { objects } = repository;
    const matches = args.pattern === undefined ? () => true : parseGlob(args.pattern);
    const work = new Prefetch(objects, (entry) => repository.openContent(entry), signal);
    const entry = await entryAt(view, key, signal);
    const prefix = directoryPrefix(key);
    const cursor = view.cursor(signal);
    let any = entry !== undefined;
    if (entry !== undefined) await work.add(entry);
    for await (const found of listAll(cursor, prefix, signal)) {
      any = true;
      if (!matches(keyToText(found.slice(prefix.length) as Key))) continue;
      await work.add(cursor.entry());
      output.progress(work.done);
    }
    if (!any && key !== '') throw nothingThere(args);
    const done = await work.finish();
    if (objects.fetch !== undefined || done.bytes > 0) return done;
    throw new TarnError(
      'invalid',
      `'${args.repository}' lies in '${objects.url}', on this machine, and so does all that was asked for`,
      { hint: 'only what lies in a bucket can be fetched ahead' },
    );
  },
};
