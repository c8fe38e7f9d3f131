import type { FileEntry } from '../model/entry.js';
import { ROOT_KEY } from '../model/path.js';
import type { Content } from '../repo/content.js';
import { andThen, type MaybePromise } from '../util/async.js';
import { COPY_BYTES_MAX } from './bytes/staged-folder.js';
import type { StagedFile } from './bytes/staged-file.js';
import type { OpenNode } from './file-table.js';
import type { Overlay } from './overlay.js';

/** A file that is copied from, and what is committed of it: all, or what shows through a partial one. */
export interface CopiedFile {
  readonly open: OpenNode;
  readonly content: Content | undefined;
}

/**
 * Copies bytes to the same place in another file without reading or writing them, where they are
 * committed ones: they show through that file as well. An empty file becomes partial for it if it is
 * asked for each write, and so much is copied that it is worth it.
 * @returns how many bytes were copied so, from `offset` on; 0 where they have to be read
 * @throws TarnError no-space, io, corrupt, aborted, and what opening the content throws
 */
export function shareRange(
  overlay: Overlay,
  from: CopiedFile,
  to: OpenNode,
  offset: number,
  length: number,
  signal: AbortSignal,
): MaybePromise<number> {
  const { content } = from;
  const { staged } = to;
  if (content === undefined || staged === undefined) return 0;
  const asked = Math.min(offset + length, content.size);
  const end = from.open.staged?.baseUntil(offset, asked) ?? asked;
  if (!staged.isWhole) return isBeneath(to, content) ? staged.share(offset, end) : 0;
  if (end - offset <= COPY_BYTES_MAX || !canBecomePartial(to, staged)) return 0;
  return andThen(entryOf(overlay, from, signal), async (entry) => {
    if (entry === undefined) return 0;
    await layBeneath(overlay, to, staged, entry);
    return isBeneath(to, content) ? staged.share(offset, end) : 0;
  });
}

function isBeneath({ base }: OpenNode, { id, size }: Content): boolean {
  return base?.content.id === id && base.content.size === size;
}

function canBecomePartial({ node, isAsked, base }: OpenNode, staged: StagedFile): boolean {
  const isBare = base === undefined && staged.isWhole && staged.isEmpty;
  // Of one that has no name the row is gone.
  return isAsked && isBare && !node.isGone && !staged.isUsedElsewhere;
}

/** What the content is of; undefined where that is another one by now. */
function entryOf(
  overlay: Overlay,
  { open: { node }, content }: CopiedFile,
  signal: AbortSignal,
): MaybePromise<FileEntry | undefined> {
  const { beneath } = node.state ?? {};
  const found = beneath ?? overlay.entryOf(node, signal);
  return andThen(found, (entry) => {
    const isFile = entry?.kind === 'file' && entry.size === content?.size;
    return isFile && entry.content === content.id ? entry : undefined;
  });
}

/** Makes an empty file partial, if it still may when the content of its base is open. */
async function layBeneath(
  { files }: Overlay,
  to: OpenNode,
  staged: StagedFile,
  entry: FileEntry,
): Promise<void> {
  const base = await files.openContent(ROOT_KEY, entry);
  try {
    if (to.staged !== staged || !canBecomePartial(to, staged)) return base.content.close();
    files.becomePartial(to, staged, base, entry);
  } catch (error) {
    base.content.close();
    throw error;
  }
}
