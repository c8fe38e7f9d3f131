import { statSync } from 'node:fs';
import type { Entry, FileEntry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import type { Backing, Content } from '../repo/content.js';
import { andThen, type MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import type { Errno, Inode, StagedBacking } from '../vfs/filesystem.js';
import type { Timestamp } from '../vfs/writable.js';
import { COPY_BYTES_MAX, type StagedFolder } from './bytes/staged-folder.js';
import type { StagedFile } from './bytes/staged-file.js';
import { statOf, type StagedStat } from './bytes/staged-stat.js';
import { Change, takeFromBeneath } from './change.js';
import type { Node } from './nodes.js';
import type { NodeMemory } from './node-memory.js';

/** Staged files removed between two turns of the event loop. */
const DISCARDED_A_TURN = 20;
/** Staged files looked at between two turns of the event loop. */
const LOOKED_AT_A_TURN = 100;

/** The committed bytes below a partial file, shared by all its handles. */
export interface SharedBase {
  readonly content: Content;
  readonly backing: Backing | undefined;
}

/** A file that is open: one for all handles of all mounts. */
export interface OpenNode {
  readonly node: Node;
  handles: number;
  /** Handles that may write. */
  writers: number;
  /** Handles of programs that run. */
  executions: number;
  /** No kernel may read or write it without us, since it may show a base later (beneath.ts). */
  isAsked: boolean;
  /** Open once the node has one; it stays until the last handle goes. */
  staged: StagedFile | undefined;
  base: SharedBase | undefined;
  /** While the staged file is being made or opened. */
  staging: Promise<void> | undefined;
  /** While the pages that only its base has are copied. */
  isHydrating: boolean;
  /** Who has handles, and how many: told when the file gets a staged file. */
  readonly watchers: Map<FileWatcher, number>;
}

export interface FileWatcher {
  staged(node: Node, staged: StagedBacking): void;
}

/** Which files are open, and their staged files. */
export class FileTable {
  readonly #overlay: NodeMemory;
  readonly #folder: StagedFolder;
  readonly #open = new Map<Inode, OpenNode>();
  /** Of staged files that are not open. */
  readonly #stats = new Map<Inode, StagedStat>();
  /** Of staged files that no program has mapped: nobody has opened them since that was found. */
  readonly #unmapped = new Set<Inode>();
  readonly #writers = new Set<Set<Node>>();
  /** Numbers of staged files that are not needed any more. */
  readonly #doomed = new Set<Inode>();
  /** Called when the last one that could write a file has let go of it. */
  onQuiet: (node: Node) => void = () => {};
  /** Called when a partial file was opened, by the first who did. */
  onPartial: (open: OpenNode) => void = () => {};

  constructor(overlay: NodeMemory, folder: StagedFolder) {
    this.#overlay = overlay;
    this.#folder = folder;
  }

  get folder(): StagedFolder {
    return this.#folder;
  }

  isOpen(node: Node): boolean {
    return this.#open.has(node.inode);
  }

  /** Somebody has it open and could change its bytes by ways that are not seen. */
  isWritten(node: Node): boolean {
    return (this.#open.get(node.inode)?.writers ?? 0) > 0;
  }

  isHydrating(node: Node): boolean {
    return this.#open.get(node.inode)?.isHydrating === true;
  }

  /** Nodes that somebody has open for writing. */
  *written(): Generator<Node> {
    for (const { node, writers } of this.#open.values()) if (writers > 0) yield node;
  }

  /** One more handle; to be given back by `detach`. @param writes it may change the bytes */
  attach(node: Node, writes: boolean): OpenNode {
    let open = this.#open.get(node.inode);
    if (open === undefined) {
      open = {
        node,
        handles: 0,
        writers: 0,
        executions: 0,
        isAsked: false,
        staged: undefined,
        base: undefined,
        staging: undefined,
        isHydrating: false,
        watchers: new Map(),
      };
      this.#open.set(node.inode, open);
    }
    open.handles += 1;
    if (writes) {
      open.writers += 1;
      for (const writers of this.#writers) writers.add(node);
    }
    this.#unmapped.delete(node.inode);
    this.#overlay.use(node);
    return open;
  }

  detach(open: OpenNode, wrote: boolean): void {
    const { node } = open;
    open.handles -= 1;
    if (wrote) open.writers -= 1;
    if (open.handles === 0) this.#shut(open);
    if (wrote && open.writers === 0 && !node.isGone) this.onQuiet(node);
    this.#overlay.unuse(node);
  }

  /** Nodes that somebody opens for writing from now on, until `end` of what is returned is called. */
  noteWriters(): { readonly nodes: ReadonlySet<Node>; readonly end: () => void } {
    const nodes = new Set<Node>();
    this.#writers.add(nodes);
    return { nodes, end: () => void this.#writers.delete(nodes) };
  }

  /**
   * Whether a program may change the bytes though it has closed the file. Of one that is open for
   * reading it cannot be told, so that is said to be mapped.
   */
  isMapped(node: Node): boolean {
    const { inode } = node;
    if (this.#unmapped.has(inode)) return false;
    if (this.#folder.isMapped(inode)) return true;
    this.#unmapped.add(inode);
    // Who had it mapped may have changed it since it was closed.
    this.#stats.delete(inode);
    this.stat(node);
    return false;
  }

  /** Finds out of many files whether they are mapped, so that isMapped need not ask for each. */
  async lookForMaps(nodes: Iterable<Node>): Promise<void> {
    let left = LOOKED_AT_A_TURN;
    for (const node of nodes) {
      if (left === 0) await giveWay();
      left = left === 0 ? LOOKED_AT_A_TURN : left - 1;
      if (!node.isGone && node.state?.isStaged === true && !this.isOpen(node)) this.isMapped(node);
    }
  }

  /** Of a node that has a staged file. */
  stat(node: Node): StagedStat {
    const staged = this.#open.get(node.inode)?.staged;
    if (staged !== undefined) return staged.stat();
    const known = this.#stats.get(node.inode);
    if (known !== undefined) return known;
    const stats = statSync(this.#folder.pathOf(node.inode), { bigint: true });
    const stat = statOf(stats, node.state?.beneath === undefined);
    this.#stats.set(node.inode, stat);
    return stat;
  }

  /**
   * Sees to it that an open file has its staged file, made if there was none.
   * @param truncates its bytes are not wanted
   */
  stage(open: OpenNode, truncates: boolean, signal: AbortSignal): MaybePromise<Errno | undefined> {
    if (open.staging !== undefined) return this.#afterOther(open, truncates, signal);
    if (open.staged !== undefined) return truncates ? this.#truncate(open, open.staged) : undefined;
    const { node } = open;
    if (node.state?.isStaged === true) return this.#reopen(open, truncates, signal);
    return andThen(this.#overlay.entryOf(node, signal), (entry) => {
      if (open.staged !== undefined || open.staging !== undefined) {
        return this.stage(open, truncates, signal);
      }
      // Where the base let go of it, nobody knows its bytes any more.
      if (entry === undefined && (node.state === undefined || node.isGone)) return 'ESTALE';
      return this.#make(open, entry, truncates, signal);
    });
  }

  /** Of a staged file; what is undefined stays as it is. */
  setTimes(
    node: Node,
    atime: Timestamp | 'now' | undefined,
    mtime: Timestamp | 'now' | undefined,
  ): void {
    const staged = this.#open.get(node.inode)?.staged;
    if (staged !== undefined) return staged.setTimes(atime, mtime);
    const opened = this.#folder.open(node.inode, node.state?.beneath?.size);
    try {
      opened.setTimes(atime, mtime);
      this.#stats.set(node.inode, opened.stat());
    } finally {
      opened.close();
    }
  }

  /** One more handle, of a file that was just made. */
  attachNew(node: Node, staged: StagedFile): OpenNode {
    const open = this.attach(node, true);
    open.staged = staged;
    return open;
  }

  /** A new file's staged file, before the change that makes the node. */
  create(node: Node): StagedFile {
    this.#stats.delete(node.inode);
    this.#doomed.delete(node.inode);
    return this.#folder.create(node.inode);
  }

  /** The change that would have made the node failed. */
  abandon(node: Node, staged: StagedFile): void {
    staged.close();
    this.#folder.remove(node.inode);
  }

  /** The node is no more, or its bytes are in the base now. */
  discard(node: Node): void {
    this.#stats.delete(node.inode);
    this.#unmapped.delete(node.inode);
    this.#folder.remove(node.inode);
  }

  /** The same for many, a few at a time. */
  discardLater(nodes: readonly Node[]): void {
    const isRunning = this.#doomed.size > 0;
    for (const { inode } of nodes) {
      this.#stats.delete(inode);
      this.#unmapped.delete(inode);
      this.#doomed.add(inode);
    }
    if (!isRunning && this.#doomed.size > 0) setImmediate(() => this.#discardSome());
  }

  /** How a driver may read and write the staged file. */
  backingOf(open: OpenNode): StagedBacking | undefined {
    const { staged, base } = open;
    if (staged === undefined) return undefined;
    const { mapFd } = staged;
    if (mapFd === undefined) return { fd: staged.fd, ...(open.isAsked && { isAsked: true }) };
    const backing = base?.backing;
    const partial = {
      mapFd,
      baseFd: backing?.fd ?? -1,
      baseOffset: backing?.offset ?? 0,
      baseLength: base?.content.size ?? 0,
      verified: backing?.verified ?? false,
      isCachedRight: this.#overlay.isShownOnce,
    };
    return { fd: staged.fd, partial };
  }

  /** Opens what the base has of the file, for reading. */
  async openContent(key: Key, entry: Entry): Promise<SharedBase> {
    const content = await this.#overlay.base.view.open(key, entry);
    try {
      return { content, backing: await content.backing() };
    } catch (error) {
      content.close();
      throw error;
    }
  }

  /**
   * Lays a base below an empty file, of which it shows nothing yet.
   * @throws TarnError no-space, io
   */
  becomePartial(open: OpenNode, staged: StagedFile, base: SharedBase, entry: FileEntry): void {
    const change = new Change(this.#overlay);
    change.update(open.node, { beneath: entry });
    change.commit();
    staged.becomePartial(entry.size);
    open.base = base;
    this.#tellWatchers(open);
    this.onPartial(open);
  }

  /** As it was first staged, of what a power cut took before it was synced. */
  restore({ inode, state }: Node): void {
    const beneath = state?.beneath;
    if (beneath === undefined) this.#folder.create(inode).close();
    else if (this.#folder.isThere(inode, false)) this.#folder.open(inode, beneath.size).close();
    else this.#folder.createOver(inode, beneath).close();
  }

  async close(): Promise<void> {
    // Those that are left go on the next opening.
    this.#doomed.clear();
    for (const open of [...this.#open.values()]) {
      await open.staging?.catch(() => {});
      this.#shut(open);
    }
  }

  #discardSome(): void {
    let left = DISCARDED_A_TURN;
    for (const inode of this.#doomed) {
      if (left === 0) break;
      left -= 1;
      this.#doomed.delete(inode);
      this.#folder.remove(inode);
    }
    if (this.#doomed.size > 0) setImmediate(() => this.#discardSome());
  }

  async #afterOther(
    open: OpenNode,
    truncates: boolean,
    signal: AbortSignal,
  ): Promise<Errno | undefined> {
    // Its fault is that of the one who staged it; here it is tried again.
    await open.staging?.catch(() => {});
    return this.stage(open, truncates, signal);
  }

  #truncate(open: OpenNode, staged: StagedFile): MaybePromise<undefined> {
    return andThen(staged.truncate(0), () => {
      // Others may have the page map.
      if (open.handles > 1 || staged.isWhole || !staged.isEmpty) return undefined;
      takeFromBeneath(this.#overlay, open.node);
      staged.becomeWhole();
      open.base?.content.close();
      open.base = undefined;
      return undefined;
    });
  }

  #reopen(
    open: OpenNode,
    truncates: boolean,
    signal: AbortSignal,
  ): MaybePromise<Errno | undefined> {
    const { node } = open;
    const beneath = node.state?.beneath;
    const staged = this.#folder.open(node.inode, beneath?.size);
    if (beneath === undefined) return this.#reopened(open, staged, undefined, truncates);
    const opening = this.openContent(this.#overlay.keyOf(node) ?? ('' as Key), beneath);
    return this.#single(
      open,
      opening.then(
        (base) => void this.#reopened(open, staged, base, false),
        (error: unknown) => {
          staged.close();
          throw error;
        },
      ),
      () => (truncates ? this.stage(open, true, signal) : undefined),
    );
  }

  #reopened(
    open: OpenNode,
    staged: StagedFile,
    base: SharedBase | undefined,
    truncates: boolean,
  ): MaybePromise<undefined> {
    open.staged = staged;
    open.base = base;
    this.#stats.delete(open.node.inode);
    const cut = truncates ? staged.truncate(0) : undefined;
    this.#tellWatchers(open);
    if (base !== undefined) this.onPartial(open);
    return andThen(cut, () => undefined);
  }

  #make(
    open: OpenNode,
    entry: Entry | undefined,
    truncates: boolean,
    signal: AbortSignal,
  ): MaybePromise<Errno | undefined> {
    const { node } = open;
    if (entry?.kind === 'symlink') return 'EINVAL';
    if (entry === undefined || truncates || entry.size === 0) {
      const staged = this.create(node);
      if (!truncates && entry !== undefined) {
        const ofEntry = { sec: entry.mtimeSec, nsec: entry.mtimeNsec };
        staged.setTimes(node.state?.atime, node.state?.mtime ?? ofEntry);
      }
      this.#made(open, staged, undefined, entry);
      return undefined;
    }
    const key = this.#overlay.keyOf(node) ?? ('' as Key);
    return this.#single(open, this.#copyUp(open, key, entry, signal), () => undefined);
  }

  async #copyUp(open: OpenNode, key: Key, entry: FileEntry, signal: AbortSignal): Promise<void> {
    const { node } = open;
    const base = await this.openContent(key, entry);
    try {
      this.#stats.delete(node.inode);
      this.#doomed.delete(node.inode);
      const isPartial = entry.size > COPY_BYTES_MAX;
      const staged = isPartial
        ? this.#folder.createOver(node.inode, entry)
        : await this.#folder.createCopy(node.inode, base.content, entry, signal);
      const isSame = node.state !== undefined || this.#overlay.keyOf(node) === key;
      if (!isSame) {
        this.abandon(node, staged);
        throw new TarnError('busy', 'the file was changed on the branch while it was opened');
      }
      // Times that a program gave the file before its bytes were staged.
      if (node.state !== undefined) staged.setTimes(node.state.atime, node.state.mtime);
      this.#made(open, staged, isPartial ? base : undefined, entry);
      if (!isPartial) base.content.close();
    } catch (error) {
      base.content.close();
      throw error;
    }
  }

  #made(
    open: OpenNode,
    staged: StagedFile,
    base: SharedBase | undefined,
    entry: FileEntry | undefined,
  ): void {
    const { node } = open;
    try {
      const change = new Change(this.#overlay);
      const key = this.#overlay.keyOf(node);
      const origin = key === undefined || entry === undefined ? undefined : { key, entry };
      change.update(node, {
        isStaged: true,
        ...(origin === undefined ? {} : { origin }),
        ...(base === undefined ? {} : { beneath: entry }),
      });
      change.reach(node);
      change.commit();
    } catch (error) {
      this.abandon(node, staged);
      throw error;
    }
    open.staged = staged;
    open.base = base;
    this.#tellWatchers(open);
    if (base !== undefined) this.onPartial(open);
  }

  #tellWatchers(open: OpenNode): void {
    const backing = this.backingOf(open);
    if (backing !== undefined)
      for (const watcher of open.watchers.keys()) watcher.staged(open.node, backing);
  }

  /** Others who want the staged file wait for `work`. */
  async #single(
    open: OpenNode,
    work: Promise<void>,
    then: () => MaybePromise<Errno | undefined>,
  ): Promise<Errno | undefined> {
    open.staging = work;
    try {
      await work;
    } finally {
      open.staging = undefined;
    }
    return then();
  }

  #shut(open: OpenNode): void {
    const { node, staged, base } = open;
    this.#open.delete(node.inode);
    if (staged !== undefined) {
      if (node.isGone) {
        staged.closeLast();
      } else {
        this.#stats.set(node.inode, staged.stat());
        staged.close();
      }
    }
    base?.content.close();
    open.staged = undefined;
    open.base = undefined;
  }
}
