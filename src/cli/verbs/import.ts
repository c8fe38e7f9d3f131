import { resolve } from 'node:path';
import { parseSize } from '../../cache/cache-limits.js';
import { TarnError } from '../../util/errors.js';
import type { Arguments, Result } from '../../daemon/protocol.js';
import type { FileLimits } from '../../workspace/jobs/import.js';
import { ask } from '../ask.js';
import type { Command, CommandContext, Input } from '../command.js';
import { EXIT, UsageError } from '../command.js';
import { humanBytes, plural, shortDate } from '../../util/format.js';
import { branchPlaceOf } from '../places.js';
import { BUCKET_OPTIONS, storageOf } from '../storage.js';
import { timeOf } from '../times.js';

const PATTERN = { value: 'PATTERN', many: true } as const;

const importCommand: Command = {
  name: 'import',
  summary: 'Stage a folder, or objects of a bucket, where they lie, without copying them',
  positionals: [
    {
      name: 'URL',
      what: 'the folder, as file:///data/run-8421 (the path as it is, nothing percent-encoded) or as a plain path; a single file too. Or the objects below s3://bucket/prefix/, gs://bucket/prefix/ or az://container/prefix/, or one object (with %, ? and # written %25, %3F and %23)',
    },
    {
      name: 'ADDRESS',
      what: 'where to, as drive/main/raw/2025-06-14/run-8421: what is below the folder comes directly below it; a single file gets this path',
    },
  ],
  options: {
    verify: { what: 'read every file once and record what it holds' },
    ...BUCKET_OPTIONS,
    include: { ...PATTERN, what: 'only paths below the folder that match, as **/*.jpg' },
    exclude: { ...PATTERN, what: 'no paths below the folder that match, as tmp/**' },
    'min-size': { value: 'SIZE', what: 'only files of so many bytes or more, as 4KiB' },
    'max-size': { value: 'SIZE', what: 'only files of so many bytes or fewer, as 2GB' },
    since: {
      value: 'TIME',
      what: "only files changed at or after it: '2025-06-14', '2025-06-14 17:30', '2 days ago'",
    },
    until: { value: 'TIME', what: 'only files changed at or before it; UTC without a zone' },
    'dry-run': { what: 'only count what there is' },
    anew: {
      what: 'list a bucket from the start, although an interrupted import could be gone on with',
    },
  },
  notes: [
    'Nothing is copied: the branch points at the files, each pinned by its size and modification time, and they must stay where they are. A file that has changed since is never served: reading it fails, with words that say what changed. Someone who changes a file and sets its old time again is not noticed; with --verify each read is checked against what was recorded, and the bytes decide alone.',
    'What the branch has below ADDRESS stays, but where the folder has a file of the same path: to import again is to point at the files as they are now. Everything is staged at once at the end, or nothing. Permission bits, modification times, symbolic links and empty folders are kept as by put. If some files cannot be looked at, all others are staged, those are named, and the exit code is 1.',
    'An object is pinned by its version where the bucket keeps versions, otherwise by its ETag and size; each request for it names the pin. How the bucket is reached is kept with the import, for other machines too; credentials never are: those of the daemon count. An import of a bucket that was interrupted, or killed, goes on where its listing stopped when the same command is run again within a week. More in docs/buckets.md.',
  ],
  examples: [
    {
      command: 'tarn import file:///data/run-8421 drive/main/raw/2025-06-14/run-8421',
      what: 'a run that stays on its disk',
    },
    {
      command: "tarn import /data/run-8421 drive/main/raw/2025-06-14/run-8421 --exclude 'tmp/**'",
      what: 'all of it but a folder',
    },
    {
      command: 'tarn import --verify /archive/maps drive/main/maps',
      what: 'read once, so that every later read is checked',
    },
    {
      command: "tarn import s3://fleet-logs/raw/ drive/main/raw --since '2025-06-14' --min-size 1",
      what: 'what came since that day and is not empty',
    },
    {
      command:
        'tarn import s3://fleet-logs/raw/2025-06-14/ drive/main/raw/2025-06-14 --region eu-central-1',
      what: 'a day of logs that stays in its bucket, however many objects that is',
    },
  ],
  async run(input, context) {
    const { terminal } = context;
    const [given = '', to = ''] = input.positionals;
    const isDryRun = input.flag('dry-run');
    const args = {
      ...branchPlaceOf(to),
      source: sourceOf(given, input),
      verify: input.flag('verify'),
      dryRun: isDryRun,
      include: input.values('include'),
      exclude: input.values('exclude'),
      ...limitsOf(input),
      anew: input.flag('anew'),
    };
    const result = await imported(context, args);
    for (const { path, why } of result.skipped) terminal.note(`skipped ${path}: ${why}`);
    for (const { path, why } of result.failures) terminal.note(`failed ${path}: ${why}`);
    for (const line of remarks(result)) terminal.note(line);
    const { url, files, symlinks, bytes, failureCount } = result;
    const links = symlinks === 0 ? '' : `, ${plural(symlinks, 'symbolic link')}`;
    const what = `${plural(files, 'file')}${links}, ${humanBytes(bytes)}`;
    const on = `${args.repository}/${args.branch}`;
    await terminal.result(
      result,
      isDryRun
        ? `would import ${what} from ${url} to ${on}; nothing was staged`
        : `imported ${what} from ${url} to ${on}; nothing was copied`,
    );
    if (failureCount === 0) return EXIT.done;
    terminal.note(`tarn: ${plural(failureCount, 'path')} could not be imported`);
    return EXIT.failed;
  },
};

/** @throws UsageError, TarnError invalid */
function limitsOf(input: Input): FileLimits {
  const size = (name: 'min-size' | 'max-size'): number | undefined => {
    const given = input.value(name);
    const bytes = given === undefined ? undefined : parseSize(given);
    if (given === undefined || bytes !== undefined) return bytes;
    throw new UsageError(`--${name} takes bytes, as 4KiB or 2GB, not '${given}'`);
  };
  const [bytesMin, bytesMax] = [size('min-size'), size('max-size')];
  const nowMs = Date.now();
  const [sinceMs, untilMs] = [timeOf(input, 'since', nowMs), timeOf(input, 'until', nowMs)];
  return {
    ...(bytesMin === undefined ? {} : { bytesMin }),
    ...(bytesMax === undefined ? {} : { bytesMax }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
}

async function imported(
  context: CommandContext,
  args: Arguments<'import'>,
): Promise<Result<'import'>> {
  const { terminal, signal } = context;
  try {
    return await ask(context, 'import', args, {
      onProgress: ({ files, bytes, current }) => {
        const count = files.toLocaleString('en-US');
        terminal.status(`${count} files, ${humanBytes(bytes)}  ${current ?? ''}`);
      },
    });
  } catch (error) {
    if (signal.aborted && isBucket(args.source) && !args.dryRun) {
      terminal.note(
        'nothing is staged yet; run the same command again, and it goes on where the listing stopped',
      );
    }
    throw error;
  } finally {
    terminal.clearStatus();
  }
}

/** What else there is to say of an import of objects. */
function* remarks({ archived = {}, wentOnAfter }: Result<'import'>): Generator<string> {
  if (wentOnAfter !== undefined) {
    const { files, atMs } = wentOnAfter;
    const count = files.toLocaleString('en-US');
    yield `went on after ${count} files that an interrupted import had listed by ${shortDate(new Date(atMs).toISOString())}`;
  }
  for (const [storageClass, count] of Object.entries(archived)) {
    yield `warning: ${plural(count, 'object')} in the storage class ${storageClass} must be restored before reading`;
  }
}

/**
 * The absolute path of what is to be imported, or the URL of objects.
 * @throws UsageError, TarnError
 */
function sourceOf(given: string, input: Input): string {
  if (given.includes('\uFFFD')) {
    throw new TarnError('invalid', `the name '${given}' is not valid UTF-8`, {
      hint: 'rename it, or import the folder that it is in',
    });
  }
  if (given === '') throw new UsageError('the folder to import has an empty name');
  if (isBucket(given)) return storageOf(given, input);
  const option = Object.keys(BUCKET_OPTIONS).find((name) => input.value(name) !== undefined);
  if (option !== undefined) {
    throw new UsageError(`--${option} goes with the URL of a bucket, and '${given}' is none`);
  }
  const [, scheme] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(given) ?? [];
  if (scheme === undefined) return resolve(given);
  if (scheme !== 'file') {
    throw new TarnError('unsupported', `'${given}' cannot be imported: '${scheme}://' is unknown`, {
      hint: 'this tarn imports from file:///…, s3://…, gs://… and az://…',
    });
  }
  const path = given.slice('file://'.length);
  if (path.startsWith('/')) return resolve(path);
  throw new UsageError(
    `'${given}' is not an absolute URL`,
    `write it with three slashes and the whole path: file:///data/run-8421`,
  );
}

function isBucket(source: string): boolean {
  return /^(s3|gs|az):\/\//i.test(source);
}

export const commands: readonly Command[] = [importCommand];
