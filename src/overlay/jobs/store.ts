import { statSync } from 'node:fs';
import type { FileEntry } from '../../model/entry.js';
import type { Inode } from '../../vfs/filesystem.js';
import type { Saves } from '../../util/saves.js';
import type { JobContext } from '../../workspace/jobs/job.js';
import type { StoreOutcome } from '../bytes/store.js';
import { StagedStore } from '../bytes/store.js';
import type { StagedFolder } from '../bytes/staged-folder.js';
import { timestampOf } from '../bytes/times.js';
import type { StagedStamp, StoredBytes } from '../nodes.js';
import { filesIn } from './planned.js';

/** A staged file whose bytes are wanted in the repository. */
export interface FileToStore {
  readonly inode: Inode;
  /** Of a partial one. */
  readonly beneath?: FileEntry;
  readonly isOpen: boolean;
  readonly isMapped: boolean;
}

/** What came of it; without `stored` it changed all the time, or is gone. */
export interface FileStored {
  readonly inode: Inode;
  readonly stored?: StoredBytes;
  /** The stamp is that of the bytes, so that they need not be stored again while it stays. */
  readonly isSure: boolean;
}

/**
 * Stores the bytes of staged files; resolves when all that is given out is durable, or will be when
 * `saves` are.
 * @throws TarnError no-space, io, aborted
 */
export async function storeFiles(
  { repository, contentIndex, stamps }: JobContext,
  staged: StagedFolder,
  folder: string,
  files: Iterable<FileToStore>,
  onStored: (file: FileStored) => void,
  signal: AbortSignal,
  saves?: Saves,
): Promise<void> {
  const index = await contentIndex(signal);
  const onOutcome = (outcome: StoreOutcome<FileToStore>): void => {
    const { inode } = outcome.tag;
    if (outcome.kind !== 'stored') return onStored({ inode, isSure: false });
    const { size, content, address, stamp } = outcome;
    const look = stamp ?? stampOf(staged, inode);
    if (look === undefined) return onStored({ inode, isSure: false });
    const { mtimeSec, mtimeNsec } = look;
    const entry = { kind: 'file', size, content, address, mtimeSec, mtimeNsec, mode: 0 } as const;
    onStored({ inode, stored: { stamp: look, entry }, isSure: stamp !== undefined });
  };
  const store = new StagedStore(filesIn(folder), repository, index, onOutcome, stamps, saves);
  try {
    for (const file of files) {
      const { inode: number, beneath: base, isOpen, isMapped } = file;
      await store.add({ number, base, isQuiet: !isOpen, isMapped }, file, signal);
    }
    await store.flush(signal);
  } catch (error) {
    await store.abort();
    throw error;
  }
}

/** Of the staged file now; undefined when it is gone. */
export function stampOf(staged: StagedFolder, inode: Inode): StagedStamp | undefined {
  const stats = statSync(staged.pathOf(inode), { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const { sec: mtimeSec, nsec: mtimeNsec } = timestampOf(stats.mtimeNs);
  const { sec: ctimeSec, nsec: ctimeNsec } = timestampOf(stats.ctimeNs);
  return { size: Number(stats.size), mtimeSec, mtimeNsec, ctimeSec, ctimeNsec };
}

export function isSameStamp(a: StagedStamp | undefined, b: StagedStamp | undefined): boolean {
  return (
    a?.size === b?.size &&
    a?.mtimeSec === b?.mtimeSec &&
    a?.mtimeNsec === b?.mtimeNsec &&
    a?.ctimeSec === b?.ctimeSec &&
    a?.ctimeNsec === b?.ctimeNsec
  );
}
