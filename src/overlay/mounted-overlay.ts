import { andThen, type MaybePromise } from '../util/async.js';
import type { Key } from '../model/path.js';
import type { Attributes, Errno, Inode } from '../vfs/filesystem.js';
import type { RequestId, WritableDriverEvents } from '../vfs/writable.js';
import { HeldByKernel } from './held-by-kernel.js';
import type { Caller, OverlayListener } from './node-memory.js';
import type { Node } from './nodes.js';
import type { Overlay } from './overlay.js';

/** An overlay as one mount uses it: what its kernel holds, and what is said to its driver. */
export abstract class MountedOverlay implements OverlayListener {
  protected readonly overlay: Overlay;
  protected readonly held: HeldByKernel;
  protected driver: WritableDriverEvents | undefined;
  /** The base whose differences from those before the kernel was told. */
  #shown: string | undefined;

  protected constructor(overlay: Overlay) {
    this.overlay = overlay;
    this.held = new HeldByKernel(overlay);
    overlay.listen(this);
  }

  connectWriting(driver: WritableDriverEvents): void {
    this.driver = driver;
    this.held.notes = driver.notes;
    this.#noteShown();
  }

  forget(inode: Inode, times: number): void {
    this.held.forget(inode, times);
  }

  outcomeOf(request: RequestId): Inode | undefined {
    return this.overlay.outcomeOf(request);
  }

  entryChanged(parent: Inode, name: Key): void {
    if (this.#isKnown(parent)) this.driver?.entryChanged(parent, name);
  }

  nodeChanged(inode: Inode, bytes: boolean): void {
    if (this.#isKnown(inode)) this.driver?.nodeChanged(inode, bytes);
  }

  nodeMoved(node: Node): void {
    this.held.note(node);
  }

  telling(): void {
    this.driver?.notes?.telling();
  }

  told(): void {
    this.#noteShown();
    this.driver?.notes?.told();
  }

  protected abstract look(node: Node): Attributes;

  protected whyUnknown(_inode: Inode): Errno {
    return 'ESTALE';
  }

  protected endListening(): void {
    this.overlay.unlisten(this);
    this.driver = undefined;
  }

  protected by(request: RequestId | undefined): Caller {
    return { mount: this, request };
  }

  /** With a node of which what is known is of the present base. */
  protected onFresh<T>(
    inode: Inode,
    signal: AbortSignal,
    act: (node: Node) => MaybePromise<T | Errno>,
  ): MaybePromise<T | Errno> {
    const node = this.overlay.node(inode);
    if (node !== undefined) return andThen(this.overlay.refresh(node, signal), () => act(node));
    return andThen(this.held.recall(inode, signal), (recalled) =>
      recalled === undefined ? this.whyUnknown(inode) : act(recalled),
    );
  }

  /** Its attributes, for a kernel that holds it from now on. */
  protected give(node: Node): Attributes {
    const attributes = this.look(node);
    this.held.hold(node);
    return attributes;
  }

  protected tellOthers(node: Node): void {
    this.overlay.tell(this, (listener) => listener.nodeChanged(node.inode, true));
  }

  #isKnown(inode: Inode): boolean {
    return this.held.has(inode) || inode === this.overlay.root.inode;
  }

  #noteShown(): void {
    const { baseName } = this.overlay;
    if (this.#shown === baseName) return;
    this.#shown = baseName;
    this.driver?.notes?.shows(baseName);
  }
}
