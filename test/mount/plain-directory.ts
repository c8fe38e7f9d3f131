import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { FileSpec } from '../suites/filesystem-files.js';
import type { FilesystemUnderTest } from '../suites/filesystem.js';

/** The files on the disk, without any file system of ours. */
export async function plainDirectory(files: readonly FileSpec[]): Promise<FilesystemUnderTest> {
  const directory = mkdtempSync(join(tmpdir(), 'tarn-plain-'));
  for (const file of files) make(directory, file);
  // Directories last: making what is in them has changed their times.
  for (const file of files) stamp(directory, file);
  return {
    directory,
    teardown: async () => {
      rmSync(directory, { recursive: true });
    },
  };
}

function make(directory: string, file: FileSpec): void {
  const path = join(directory, file.path);
  if (file.path.endsWith('/')) mkdirSync(path, { recursive: true });
  else {
    mkdirSync(dirname(path), { recursive: true });
    if (file.symlink !== undefined) symlinkSync(file.symlink, path);
    else writeFileSync(path, file.bytes ?? '');
  }
}

function stamp(directory: string, file: FileSpec): void {
  const path = join(directory, file.path);
  if (file.symlink !== undefined) return;
  if (file.mode !== undefined) chmodSync(path, file.mode);
  if (file.mtimeMs !== undefined) utimesSync(path, file.mtimeMs / 1000, file.mtimeMs / 1000);
}
