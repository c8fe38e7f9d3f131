import { NLINK } from '../vfs/attributes.js';
import type { Attributes } from '../vfs/filesystem.js';
import type { Timestamp } from '../vfs/writable.js';
import type { StagedStat } from './bytes/staged-stat.js';
import type { Overlay } from './overlay.js';
import { prefixOf, type Node, type NodeState } from './nodes.js';

const SECTOR_BYTES = 512;

/** Whom a mount shows as the owner of what has none of its own. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits that nothing shows. */
  readonly umask: number;
}

/** What a mount shows of a node; of an unchanged one what the base said when it was last fresh. */
export function attributesOf(overlay: Overlay, node: Node, owner: Owner): Attributes {
  const state = node.state ?? overlay.initialState(node);
  const staged = state.isStaged === true ? overlay.files.stat(node) : undefined;
  const mtime = staged === undefined ? state.mtime : mtimeOf(staged);
  const size = staged?.size ?? sizeOf(node, state);
  const ctime = ctimeOf(state, staged);
  return {
    inode: node.inode,
    kind: node.kind,
    mode: state.mode & ~owner.umask,
    size,
    mtimeSec: mtime.sec,
    mtimeNsec: mtime.nsec,
    nlink: linksOf(node),
    own: {
      uid: state.uid ?? owner.uid,
      gid: state.gid ?? owner.gid,
      atimeSec: staged?.atimeSec ?? state.atime.sec,
      atimeNsec: staged?.atimeNsec ?? state.atime.nsec,
      ctimeSec: ctime.sec,
      ctimeNsec: ctime.nsec,
      sectors: staged?.sectors ?? Math.ceil(size / SECTOR_BYTES),
      device: state.device ?? 0,
      isVolatile: staged !== undefined && overlay.files.isWritten(node),
    },
  };
}

function sizeOf({ place }: Node, { target, origin }: NodeState): number {
  if (target !== undefined) return target.length;
  if (origin?.entry.kind === 'file') return origin.entry.size;
  return place?.size ?? 0;
}

/** The sub-directories of a directory that shows some of the base are not counted: that is a walk. */
function linksOf(node: Node): number {
  if (node.isGone) return 0;
  if (node.directory === undefined) return Math.max(node.names.length, NLINK);
  return prefixOf(node) === undefined ? 2 + node.directory.directories : NLINK;
}

/** A staged file that nobody wrote to yet was made later than the file last changed. */
function ctimeOf(state: NodeState, staged: StagedStat | undefined): Timestamp {
  if (staged === undefined) return state.ctime;
  const before = state.origin?.entry;
  const isAsBefore =
    before?.kind === 'file' &&
    before.size === staged.size &&
    before.mtimeSec === staged.mtimeSec &&
    before.mtimeNsec === staged.mtimeNsec;
  const { ctimeSec: sec, ctimeNsec: nsec } = staged;
  return isAsBefore || isBefore({ sec, nsec }, state.ctime) ? state.ctime : { sec, nsec };
}

function isBefore(a: Timestamp, b: Timestamp): boolean {
  return a.sec < b.sec || (a.sec === b.sec && a.nsec < b.nsec);
}

function mtimeOf({ mtimeSec, mtimeNsec }: StagedStat): Timestamp {
  return { sec: mtimeSec, nsec: mtimeNsec };
}
