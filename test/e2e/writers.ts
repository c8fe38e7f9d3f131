import { fileURLToPath } from 'node:url';
import type { Sandbox } from './sandbox.js';

const SHELL = fileURLToPath(new URL('./writers/shell.sh', import.meta.url));

/** A program that changes files, and what of it can be compared. */
export interface Writer {
  readonly name: string;
  /** Changes what make_samples.py made in `folder`; what it says must be the same everywhere. */
  run(sandbox: Sandbox, folder: string): Promise<string>;
  /** Two runs write the same bytes. */
  readonly writesSame: boolean;
}

function python(what: string, name: string, writesSame: boolean): Writer {
  const run = (sandbox: Sandbox, folder: string) =>
    sandbox.python('../writers/write.py', what, folder);
  return { name, run, writesSame };
}

function shell(what: string, name: string, writesSame = true): Writer {
  const run = (sandbox: Sandbox, folder: string) =>
    sandbox.must('sh', SHELL, what, folder, sandbox.root);
  return { name, run, writesSame };
}

export const WRITERS: readonly Writer[] = [
  python('editors', 'vim, sed -i and writing a temporary file that is renamed', true),
  python('sqlite', 'SQLite with a rollback journal and a write-ahead log', false),
  python('geopackage', 'a GeoPackage by GDAL', false),
  python('hdf5', 'HDF5, changed in place and grown', false),
  python('zarr', 'Zarr, a renamed file for each chunk', true),
  python('lance', 'LanceDB, and a copy of it by hard links', false),
  python('duck', 'DuckDB, also killed', false),
  python('memmap', 'numpy through shared maps', true),
  python('las', 'points appended to a LAS file, header last', true),
  python('bag', 'a bag recorded, and rosbag reindex, which patches the header', true),
  shell('git', 'git: commits, a merge, gc and fsck', false),
  shell('ffmpeg', 'ffmpeg with faststart, which moves the index to the front'),
  shell('rsync', 'rsync --inplace'),
  shell('copies', 'cp -a, hard links, and moves of folders'),
  shell('archives', 'tar and unzip'),
  shell('points', 'the Point Cloud Library, which maps what it writes'),
];
