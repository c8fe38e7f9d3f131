import { expect } from 'vitest';
import { FrozenFilesystem } from '../../src/vfs/frozen-filesystem.js';
import type {
  Attributes,
  DirectorySink,
  Errno,
  Filesystem,
  Inode,
  NodeKind,
} from '../../src/vfs/filesystem.js';
import { keyFromText, type Key } from '../../src/model/path.js';
import type { MaybePromise } from '../../src/util/async.js';
import { MemoryView, type MemoryFile, type MemoryViewOptions } from './memory-view.mjs';

export const NEVER = new AbortController().signal;
export const ROOT: Inode = 1;

export interface Listed {
  readonly name: string;
  readonly next: number;
  readonly attributes: Attributes;
}

/** Collects entries, up to `room` of them. */
export class ListSink implements DirectorySink {
  readonly listed: Listed[] = [];
  /** Those that were given without attributes. */
  readonly namesAlone: Key[] = [];
  readonly #room: number;

  constructor(room = Infinity) {
    this.#room = room;
  }

  add(
    name: Key,
    next: number,
    inode: Inode,
    kind: NodeKind,
    mode: number,
    size: number,
    mtimeSec: number,
    mtimeNsec: number,
    nlink: number,
  ): boolean {
    if (this.listed.length >= this.#room) return false;
    const attributes = { inode, kind, mode, size, mtimeSec, mtimeNsec, nlink };
    this.listed.push({ name, next, attributes });
    return true;
  }

  addName(name: Key, next: number, inode: Inode, kind: NodeKind): boolean {
    if (!this.add(name, next, inode, kind, 0, 0, 0, 0, 0)) return false;
    this.namesAlone.push(name);
    return true;
  }
}

export function filesystemOf(
  files: readonly (MemoryFile | string)[],
  options?: MemoryViewOptions,
): { filesystem: FrozenFilesystem; view: MemoryView } {
  const specs = files.map((file) => (typeof file === 'string' ? { path: file } : file));
  const view = new MemoryView(specs, options);
  return { filesystem: new FrozenFilesystem(view), view };
}

export function succeeded<T>(value: T | Errno): Exclude<T, string> {
  expect(value).not.toBeTypeOf('string');
  return value as Exclude<T, string>;
}

/** Looks a `/`-separated path up, one name after the other. */
export async function resolve(fs: Filesystem, path: string): Promise<Attributes | Errno> {
  let at: Attributes | Errno = await fs.getattr(ROOT, NEVER);
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (typeof at === 'string') return at;
    at = await fs.lookup(at.inode, keyFromText(name), NEVER);
  }
  return at;
}

export async function inodeOf(fs: Filesystem, path: string): Promise<Inode> {
  return succeeded<Attributes>(await resolve(fs, path)).inode;
}

/** Everything from the position `offset` on, asked for `room` entries at a time. */
export async function list(
  fs: Filesystem,
  inode: Inode,
  { offset = 0, room = Infinity }: { offset?: number; room?: number } = {},
): Promise<Listed[]> {
  const { handle } = succeeded<{ handle: number }>(await fs.opendir(inode, NEVER));
  const all: Listed[] = [];
  try {
    for (let at = offset; ; at = all.at(-1)?.next ?? offset) {
      const sink = new ListSink(room);
      const errno: MaybePromise<undefined | Errno> = fs.readdir(handle, at, sink, NEVER);
      expect(await errno).toBeUndefined();
      if (sink.listed.length === 0) return all;
      all.push(...sink.listed);
    }
  } finally {
    fs.releasedir(handle);
  }
}

/** Names in a directory, without `.` and `..`, as text. */
export async function namesIn(fs: Filesystem, path: string): Promise<string[]> {
  const listed = await list(fs, await inodeOf(fs, path));
  return listed.slice(2).map(({ name }) => Buffer.from(name, 'latin1').toString('utf8'));
}

export async function readAll(fs: Filesystem, path: string): Promise<string> {
  const opened = succeeded(await fs.open(await inodeOf(fs, path), NEVER));
  const bytes = succeeded(await fs.read(opened.handle, 0, 1 << 24, NEVER));
  fs.release(opened.handle);
  return Buffer.from(bytes).toString('utf8');
}
