import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileEntry } from '../../src/model/entry.js';
import { keyFromText, type Key } from '../../src/model/path.js';
import { Overlay } from '../../src/overlay/overlay.js';
import type { AbsorbedFile, OverlaySnapshot } from '../../src/overlay/snapshot.js';
import type { Node, OwnName } from '../../src/overlay/nodes.js';
import { WorkspaceFilesystem } from '../../src/overlay/workspace-filesystem.js';
import type { Attributes, Errno, Inode } from '../../src/vfs/filesystem.js';
import type { NodeSink } from '../../src/vfs/living.js';
import type { OpenAccess } from '../../src/vfs/writable.js';
import { MemoryView, type MemoryFile } from '../vfs/memory-view.mjs';

export const NEVER = new AbortController().signal;
export const ROOT: Inode = 1;
export const OWNER = { mode: 0o644, uid: 7, gid: 8 };
export const READ: OpenAccess = { reads: true, writes: false, truncates: false, appends: false };
export const WRITE: OpenAccess = { ...READ, writes: true };

/** An overlay over a memory view, with one mount, that can be reopened and get another base. */
export class Mounted {
  readonly folder = mkdtempSync(join(tmpdir(), 'tarn-overlay-'));
  readonly slow: boolean;
  overlay: Overlay;
  fs: WorkspaceFilesystem;

  constructor(files: readonly MemoryFile[], slow = false) {
    this.slow = slow;
    this.overlay = Overlay.open(this.folder, this.view(files));
    this.fs = new WorkspaceFilesystem(this.overlay, { uid: 1, gid: 2, umask: 0 });
  }

  view(files: readonly MemoryFile[]): MemoryView {
    return new MemoryView(files, { slow: this.slow });
  }

  async reopen(meanwhile: () => void = () => undefined): Promise<void> {
    const { view } = this.overlay.base;
    this.fs.close();
    await this.overlay.close();
    meanwhile();
    this.overlay = Overlay.open(this.folder, view);
    this.fs = new WorkspaceFilesystem(this.overlay, { uid: 1, gid: 2, umask: 0 });
  }

  async dispose(): Promise<void> {
    this.fs.close();
    await this.overlay.close();
    rmSync(this.folder, { recursive: true });
  }

  async at(path: string): Promise<Attributes | Errno> {
    let at: Attributes | Errno = await this.fs.getattr(ROOT, NEVER);
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (typeof at === 'string') return at;
      at = await this.fs.lookup(at.inode, keyFromText(name), NEVER);
    }
    return at;
  }

  async inode(path: string): Promise<Inode> {
    const found = await this.at(path);
    if (typeof found === 'string') throw new Error(`${path}: ${found}`);
    return found.inode;
  }

  async list(inode: Inode): Promise<Map<string, Attributes>> {
    const opened = await this.fs.opendir(inode, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    const all = new Map<string, Attributes>();
    let next = 0;
    for (;;) {
      let room = 3;
      let any = false;
      const sink: NodeSink = {
        addName: () => true,
        addNode(name, position, attributes) {
          if (room === 0) return 'full';
          room -= 1;
          any = true;
          next = position;
          if (name === '.' || name === '..') return 'listed';
          if (all.has(name)) throw new Error(`${name} is listed twice`);
          all.set(name, attributes);
          return 'listed';
        },
      };
      await this.fs.readdirNodes(opened.handle, next, sink, NEVER);
      if (!any) break;
    }
    this.fs.releasedir(opened.handle);
    return all;
  }

  async bytes(inode: Inode): Promise<string> {
    const opened = await this.fs.openFor(inode, READ, NEVER);
    if (typeof opened === 'string') return opened;
    const bytes = await this.fs.read(opened.handle, 0, 2 ** 20, NEVER);
    this.fs.release(opened.handle);
    return typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString();
  }

  async write(inode: Inode, offset: number, text: string): Promise<void> {
    const opened = await this.fs.openFor(inode, WRITE, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    await this.fs.write(opened.handle, offset, Buffer.from(text), NEVER);
    this.fs.release(opened.handle);
  }

  async create(parent: Inode, name: string, text = ''): Promise<Attributes | Errno> {
    const made = await this.fs.create(parent, keyFromText(name), OWNER, WRITE, NEVER);
    if (typeof made === 'string') return made;
    if (text !== '') await this.fs.write(made.opened.handle, 0, Buffer.from(text), NEVER);
    this.fs.release(made.opened.handle);
    return made.attributes;
  }

  /** What a stager would say of a snapshot that is staged whole: all but nodes with several names. */
  async absorb(
    snapshot: OverlaySnapshot,
    view: MemoryView,
  ): Promise<Parameters<Overlay['rebase']>> {
    const names = new Map<OwnName, Key>();
    const files = new Map<Node, AbsorbedFile>();
    const visit = async (directory: Node, prefix: string): Promise<void> => {
      for (const own of snapshot.namesOf(directory)) {
        const path = `${prefix}${own.name}`;
        const { node } = own;
        if (node === undefined) {
          names.set(own, path as Key);
          continue;
        }
        if (node.kind === 'directory') {
          names.set(own, `${path}/` as Key);
          await visit(node, `${path}/`);
          continue;
        }
        if (node.kind !== 'file' && node.kind !== 'symlink') continue;
        const entry = await view.get(path as Key);
        if (entry === undefined || node.names.length > 1) continue;
        names.set(own, path as Key);
        if (snapshot.stateOf(node)?.isStaged !== true) continue;
        const stamp = this.overlay.files.stat(node);
        files.set(node, { entry: entry as FileEntry, stamp });
      }
    };
    await visit(snapshot.root, '');
    return [view, { snapshot, names, files }];
  }
}
