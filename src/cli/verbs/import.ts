import { resolve } from 'node:path';
import { TarnError } from '../../util/errors.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { EXIT, UsageError } from '../command.js';
import { humanBytes, plural } from '../../util/format.js';
import { branchPlaceOf } from '../places.js';

const PATTERN = { value: 'PATTERN', many: true } as const;

const importCommand: Command = {
  name: 'import',
  summary: 'Stage a folder of this machine where it lies, without copying it',
  positionals: [
    {
      name: 'URL',
      what: 'the folder, as file:///data/run-8421 (the path as it is, nothing percent-encoded) or as a plain path; a single file too',
    },
    {
      name: 'ADDRESS',
      what: 'where to, as drive/main/raw/2025-06-14/run-8421: what is below the folder comes directly below it; a single file gets this path',
    },
  ],
  options: {
    verify: { what: 'read every file once and record what it holds' },
    include: { ...PATTERN, what: 'only paths below the folder that match, as **/*.jpg' },
    exclude: { ...PATTERN, what: 'no paths below the folder that match, as tmp/**' },
    'dry-run': { what: 'only count what there is' },
  },
  notes: [
    'Nothing is copied: the branch points at the files, each pinned by its size and modification time, and they must stay where they are. A file that has changed since is never served: reading it fails, with words that say what changed. Someone who changes a file and sets its old time again is not noticed; with --verify each read is checked against what was recorded, and the bytes decide alone.',
    'What the branch has below ADDRESS stays, but where the folder has a file of the same path: to import again is to point at the files as they are now. Everything is staged at once at the end, or nothing. Permission bits, modification times, symbolic links and empty folders are kept as by put. If some files cannot be looked at, all others are staged, those are named, and the exit code is 1.',
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
  ],
  async run(input, context) {
    const { terminal } = context;
    const [given = '', to = ''] = input.positionals;
    const isDryRun = input.flag('dry-run');
    const args = {
      ...branchPlaceOf(to),
      source: sourceOf(given),
      verify: input.flag('verify'),
      dryRun: isDryRun,
      include: input.values('include'),
      exclude: input.values('exclude'),
    };
    const result = await ask(context, 'import', args, {
      onProgress: ({ files, bytes, current }) => {
        const count = files.toLocaleString('en-US');
        terminal.status(`${count} files, ${humanBytes(bytes)}  ${current ?? ''}`);
      },
    });
    terminal.clearStatus();
    for (const { path, why } of result.skipped) terminal.note(`skipped ${path}: ${why}`);
    for (const { path, why } of result.failures) terminal.note(`failed ${path}: ${why}`);
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

/** The absolute path of what is to be imported. @throws UsageError, TarnError */
function sourceOf(given: string): string {
  if (given.includes('\uFFFD')) {
    throw new TarnError('invalid', `the name '${given}' is not valid UTF-8`, {
      hint: 'rename it, or import the folder that it is in',
    });
  }
  if (given === '') throw new UsageError('the folder to import has an empty name');
  const [, scheme] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(given) ?? [];
  if (scheme === undefined) return resolve(given);
  if (scheme !== 'file') {
    throw new TarnError('unsupported', `'${given}' cannot be imported: it is no local folder`, {
      hint: 'this tarn imports from file:///… only',
    });
  }
  const path = given.slice('file://'.length);
  if (path.startsWith('/')) return resolve(path);
  throw new UsageError(
    `'${given}' is not an absolute URL`,
    `write it with three slashes and the whole path: file:///data/run-8421`,
  );
}

export const commands: readonly Command[] = [importCommand];
