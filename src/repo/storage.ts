import { readdir, rename, rm } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalRefStore, REFS_FILE } from '../store/local/refs.js';
import { BlockingStore } from '../store/local/blocking-store.js';
import { LocalStore } from '../store/local/local-store.js';
import type { ObjectStore } from '../store/object-store.js';
import type { RefStore } from '../store/ref-store.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import { REPOSITORY_KEY } from './layout.js';

/** Where a repository lives: its objects and its refs. */
export interface Storage {
  readonly objects: ObjectStore;
  readonly refs: RefStore;
}

const VERSION = 2;
/** What an interrupted create may have left. */
const UNFINISHED = new Set([
  'tmp',
  'trees',
  'commits',
  ...['', '-journal', '-wal', '-shm'].map(refsFile),
]);
/** What REPOSITORY_KEY is called once deletion has begun; the last file to go. */
const DELETED_FILE = 'tarn.deleted.json';

/**
 * The directory that `storage` means: an absolute path or a file:// URL.
 * @throws TarnError unsupported for other URLs, invalid
 */
export function storageDirectory(storage: string): string {
  if (isAbsolute(storage)) return storage;
  if (storage.startsWith('file://')) {
    try {
      return fileURLToPath(storage);
    } catch (error) {
      throw asTarnError(error, `reading the storage URL '${printable(storage)}'`);
    }
  }
  const scheme = /^([a-z0-9+.-]+):\/\//i.exec(storage)?.[1];
  if (scheme === undefined) {
    throw new TarnError('invalid', `the storage '${printable(storage)}' is not an absolute path`, {
      hint: 'give a directory that begins with /, or a file:// URL',
    });
  }
  throw new TarnError('unsupported', `this tarn cannot store a repository at ${scheme}://`, {
    hint: 'give a local directory; buckets come with a later version',
  });
}

/**
 * Makes room for a new repository; `markComplete` must be called when its first commit is there.
 * @throws TarnError exists when the directory holds anything else, denied, no-space, io
 */
export async function createStorage(storage: string): Promise<Storage> {
  const directory = storageDirectory(storage);
  const names = await namesIn(directory);
  if (names.includes(REPOSITORY_KEY)) {
    throw new TarnError('exists', `'${directory}' holds a repository already`, {
      hint: `choose another directory; or make that one known with 'tarn repo add NAME --storage ${directory}'`,
    });
  }
  const foreign = names.find((name) => !UNFINISHED.has(name));
  if (foreign !== undefined) {
    throw new TarnError('exists', `'${directory}' is not empty: it holds '${printable(foreign)}'`, {
      hint: 'choose a directory that is empty or does not exist',
    });
  }
  const objects = await LocalStore.create(directory);
  return { objects, refs: LocalRefStore.create(directory) };
}

/** From now on the storage is a repository; until then create may begin again. */
export async function markComplete(objects: ObjectStore): Promise<void> {
  const text = `${JSON.stringify({ format: 'tarn repository', version: VERSION })}\n`;
  await objects.put(REPOSITORY_KEY, Buffer.from(text), { ifNoneMatch: '*' });
}

/**
 * @param options.blocking reads and small writes hold up the thread until they are done, which makes
 *   them several times faster: for threads that have nothing else to do
 * @throws TarnError not-found, corrupt (names the file), unsupported when another version of tarn
 *   made it, denied, io
 */
export async function openStorage(
  storage: string,
  options: { readonly blocking?: boolean } = {},
): Promise<Storage> {
  const directory = storageDirectory(storage);
  const names = await namesIn(directory);
  if (!names.includes(REPOSITORY_KEY)) throw notRepository(directory, names);
  const objects = await LocalStore.open(directory);
  checkFormat(`${directory}/${REPOSITORY_KEY}`, await objects.get(REPOSITORY_KEY));
  const refs = LocalRefStore.open(directory);
  return { objects: options.blocking === true ? new BlockingStore(objects) : objects, refs };
}

/**
 * Deletes a repository with all it holds; goes on where an earlier deletion was interrupted.
 * @throws TarnError not-found when there is no repository, denied, io
 */
export async function deleteStorage(storage: string): Promise<void> {
  const directory = storageDirectory(storage);
  const names = await namesIn(directory);
  const isBegun = names.includes(DELETED_FILE);
  if (!isBegun && !names.includes(REPOSITORY_KEY)) throw notRepository(directory, names);
  try {
    // First what makes it a repository, so that none is ever half there; it stays to the last under
    // a name that says what to go on with.
    if (!isBegun) await rename(`${directory}/${REPOSITORY_KEY}`, `${directory}/${DELETED_FILE}`);
    for (const name of await readdir(directory)) {
      if (name !== DELETED_FILE) await rm(`${directory}/${name}`, { recursive: true, force: true });
    }
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    throw asTarnError(error, `deleting the repository in '${directory}'`);
  }
}

function notRepository(directory: string, names: readonly string[]): TarnError {
  if (names.includes(DELETED_FILE)) {
    return new TarnError('not-found', `the repository in '${directory}' was being deleted`, {
      hint: "finish that by running 'tarn repo delete' again",
    });
  }
  if (names.includes(REFS_FILE)) {
    return new TarnError('corrupt', `the file '${directory}/${REPOSITORY_KEY}' is missing`, {
      hint: 'restore it from a copy of the repository; or, if creating it was interrupted, create it again',
    });
  }
  return new TarnError('not-found', `there is no repository in '${directory}'`, {
    hint: 'was the directory moved or its disk not mounted?',
  });
}

function checkFormat(file: string, bytes: Uint8Array): void {
  const hint = 'restore this file from a copy of the repository';
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new TarnError('corrupt', `'${file}' is damaged: it is not JSON`, { hint, cause: error });
  }
  const { format, version } = (parsed ?? {}) as { format?: unknown; version?: unknown };
  if (format !== 'tarn repository' || !Number.isSafeInteger(version)) {
    throw new TarnError('corrupt', `'${file}' is damaged: it states no format of tarn`, { hint });
  }
  if ((version as number) < VERSION) {
    throw new TarnError(
      'unsupported',
      `'${file}' was made by a pre-release of tarn (format version ${String(version)}), which this tarn cannot read`,
      {
        hint: "get its files with the tarn that made it, and put them into one made anew with 'tarn repo create'",
      },
    );
  }
  if (version !== VERSION) {
    throw new TarnError(
      'unsupported',
      `'${file}' has the format version ${String(version)}, this tarn knows ${VERSION}`,
      { hint: 'update tarn on this machine' },
    );
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const failure = asTarnError(error, `looking into '${directory}'`);
    if (failure.kind === 'not-found') return [];
    throw failure;
  }
}

function refsFile(suffix: string): string {
  return `${REFS_FILE}${suffix}`;
}
