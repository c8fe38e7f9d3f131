import { readdir, rename, rm } from 'node:fs/promises';
import { BlockingStore } from '../store/local/blocking-store.js';
import { LocalStore } from '../store/local/local-store.js';
import { LocalRefStore, REFS_FILE } from '../store/local/refs.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import { REPOSITORY_KEY } from './layout.js';
import type { Storage } from './storage-format.js';
import { checkFormat, DELETED_KEY } from './storage-format.js';

/** What an interrupted create may have left. */
const UNFINISHED = new Set([
  'tmp',
  'trees',
  'commits',
  ...['', '-journal', '-wal', '-shm'].map(refsFile),
]);

export async function createLocal(directory: string): Promise<Storage> {
  const names = await namesIn(directory);
  if (names.includes(REPOSITORY_KEY)) {
    throw new TarnError('exists', `'${directory}' holds a repository already`, {
      hint: `choose another directory; or make that one known with 'tarn repo add ${directory}'`,
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

export async function openLocal(directory: string, isBlocking: boolean): Promise<Storage> {
  const names = await namesIn(directory);
  if (!names.includes(REPOSITORY_KEY)) throw notRepository(directory, names);
  const objects = await LocalStore.open(directory);
  checkFormat(`${directory}/${REPOSITORY_KEY}`, await objects.get(REPOSITORY_KEY));
  const refs = LocalRefStore.open(directory);
  return { objects: isBlocking ? new BlockingStore(objects) : objects, refs };
}

export async function deleteLocal(directory: string): Promise<void> {
  const names = await namesIn(directory);
  const isBegun = names.includes(DELETED_KEY);
  if (!isBegun && !names.includes(REPOSITORY_KEY)) throw notRepository(directory, names);
  try {
    // First what makes it a repository, so that none is ever half there; it stays to the last under
    // a name that says what to go on with.
    if (!isBegun) await rename(`${directory}/${REPOSITORY_KEY}`, `${directory}/${DELETED_KEY}`);
    for (const name of await readdir(directory)) {
      if (name !== DELETED_KEY) await rm(`${directory}/${name}`, { recursive: true, force: true });
    }
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    throw asTarnError(error, `deleting the repository in '${directory}'`);
  }
}

function notRepository(directory: string, names: readonly string[]): TarnError {
  if (names.includes(DELETED_KEY)) {
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
