import { isUtf8 } from 'node:buffer';
import { realpathSync } from 'node:fs';
import type { KeyedEntry } from '../../model/entry.js';
import { fileUrl, importedUrl, pathOfUrl } from '../../model/imported.js';
import type { Repository } from '../../repo/repository.js';
import type { ObjectStore } from '../../store/object-store.js';
import { buildTree } from '../../tree/write.js';
import { throwIfAborted } from '../../util/abort.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import { giveWay } from '../../util/give-way.js';
import { tarnMountsNow } from '../../util/mount-info.js';
import type { Workspace } from '../workspace.js';
import type { ImportInput, ImportResult } from './import.js';
import { wantsFileOf, wantsOf } from './import.js';
import { readImported } from './import-read.js';
import { ImportCounts, ImportWalk } from './import-walk.js';
import type { JobOutput, JobRun } from './job.js';
import { OwnPlaces } from './own-places.js';
import type { PutTarget } from './put-targets.js';
import { targetsOf } from './put-targets.js';
import type { DiskPath } from './walk.js';
import { diskPath, pathText, why } from './walk.js';

const PROGRESS_INTERVAL_MS = 100;

type Output = Pick<JobOutput<never>, 'signal' | 'progress'>;

/**
 * Stages the files below a folder, or one file, as entries that point at them: nothing is copied, and
 * nothing read unless it is to be verified. Everything is staged at once at the end, or nothing. What
 * is there already stays, but where the folder has the same path.
 * @throws TarnError not-found (the source, the branch), invalid, no-space, aborted, io
 */
export const run: JobRun<ImportInput, never, ImportResult> = async (context, input, out) => {
  const { home, repository } = context;
  const workspace = context.workspace(input.branch);
  const own = new OwnPlaces(home);
  const source = realPathOf(input.source);
  const view = await workspace.view(out.signal);
  const targets = await targetsOf(
    { sources: [source], prefix: input.prefix, recursive: true },
    view,
    own,
    out.signal,
  );
  const target = targets[0] as PutTarget;
  const folder = new Folder(input, target, own);
  await folder.stage(repository, workspace, out);
  return folder.result();
};

/** @throws TarnError not-found, denied, invalid */
function realPathOf(source: string): string {
  let real: Buffer;
  try {
    real = realpathSync.native(source, 'buffer');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new TarnError('not-found', `there is no file or folder '${source}'`);
    }
    throw asTarnError(error, `looking at '${source}'`);
  }
  if (!isUtf8(real)) {
    throw new TarnError('invalid', `the real path of '${source}' is not valid UTF-8`, {
      hint: 'rename the folder whose name is not',
    });
  }
  const path = real.toString();
  const mount = tarnMountsNow().find(({ directory }) => `${path}/`.startsWith(`${directory}/`));
  if (mount === undefined) return path;
  throw new TarnError('invalid', `'${path}' lies in the mount of tarn at '${mount.directory}'`, {
    hint: "an import copies nothing and needs the files themselves: use 'tarn cp' within a repository, 'tarn put' from another",
  });
}

class Folder {
  readonly #input: ImportInput;
  readonly #target: PutTarget;
  readonly #counts = new ImportCounts();
  readonly #walk: ImportWalk;
  #reportedAt = 0;

  constructor(input: ImportInput, target: PutTarget, own: OwnPlaces) {
    this.#input = input;
    this.#target = target;
    const excluded = new Map<DiskPath, string>();
    for (const place of own.directories) excluded.set(place, 'tarn keeps its own files here');
    for (const { directory } of tarnMountsNow()) {
      excluded.set(diskPath(directory), 'it is a mount of tarn');
    }
    const [wants, wantsFile] = [wantsOf(input), wantsFileOf(input)];
    const counts = this.#counts;
    this.#walk = new ImportWalk(target.key, { wants, wantsFile, excluded, counts });
  }

  async stage({ nodes, objects }: Repository, workspace: Workspace, out: Output): Promise<void> {
    const { signal } = out;
    const { isDryRun } = this.#input;
    const { kind, path, key } = this.#target;
    if (kind === 'file') {
      const entry = this.#walk.entryOf(path);
      const entries = entry === undefined ? [] : await this.#read([{ key, entry }], objects, out);
      if (entries.length > 0 && !isDryRun) await workspace.stage(entries, signal);
      return;
    }
    const batches = this.#batches(objects, out);
    if (isDryRun) return drain(batches);
    const { id, totals } = await buildTree(nodes, batches, signal);
    if (totals.entries > 0) await workspace.graft(key, id, 'add', signal);
  }

  result(): ImportResult {
    const { files, symlinks, directories, bytes, skipped, failures } = this.#counts;
    return {
      url: fileUrl(pathText(this.#target.path)),
      files,
      symlinks,
      directories,
      bytes,
      skipped: skipped.listed,
      skippedCount: skipped.count,
      failures: failures.listed,
      failureCount: failures.count,
    };
  }

  async *#batches(objects: ObjectStore, out: Output): AsyncIterable<readonly KeyedEntry[]> {
    for (const batch of this.#walk.all(this.#target.path, this.#target.key)) {
      await giveWay();
      throwIfAborted(out.signal);
      this.#report(out);
      yield await this.#read(batch, objects, out);
    }
  }

  /** The same entries with the ids of their contents, if that is wanted. */
  async #read(
    batch: readonly KeyedEntry[],
    objects: ObjectStore,
    out: Output,
  ): Promise<readonly KeyedEntry[]> {
    if (!this.#input.isVerified || this.#input.isDryRun) return batch;
    const entries: KeyedEntry[] = [];
    for (const { key, entry } of batch) {
      const url = entry.kind === 'file' ? importedUrl(entry) : undefined;
      if (entry.kind === 'symlink' || url === undefined) {
        entries.push({ key, entry });
        continue;
      }
      const path = diskPath(pathOfUrl(url) ?? '');
      const read = await readImported(path, objects, out.signal).catch((error: unknown) => {
        if (error instanceof TarnError) throw error;
        this.#counts.fail(path, entry.size, why(error));
      });
      if (read !== undefined) entries.push({ key, entry: read });
      this.#report(out);
    }
    return entries;
  }

  #report({ progress }: Output): void {
    const now = Date.now();
    if (now - this.#reportedAt < PROGRESS_INTERVAL_MS) return;
    this.#reportedAt = now;
    const { files, bytes, current } = this.#counts;
    progress({ files, bytes, current: pathText(current) });
  }
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  while ((await iterator.next()).done !== true);
}
