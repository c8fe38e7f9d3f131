import type { Key } from '../../model/path.js';
import { TarnError } from '../../util/errors.js';
import type { Handle, Inode } from '../../vfs/filesystem.js';
import type { NodeNotes } from '../../vfs/notes.js';
import type { HeldNodes } from '../../vfs/resuming.js';
import type { Addon, NativeLedger } from './addon.js';

/** Kinds of records; the addon itself puts and drops the first three (native/ledger.h). */
const KIND = {
  /** By handle: OpenRecord. */
  file: 1,
  /** By handle: the inode, and the request that it answered. */
  directory: 2,
  /** By 0: not everything was told that the kernel should know. */
  untold: 3,
  telling: 4,
  /** By 0: MountRecord as JSON. */
  mount: 5,
  /** By inode: the parent's inode, then the name. */
  named: 6,
  /** By inode: what the filesystem says of it. */
  unnamed: 7,
  /** By 0: what the filesystem says that it shows. */
  shown: 8,
  /** By handle: how far a listing has come. */
  listing: 9,
} as const;

const HEAD_BYTES = 16;
const NAME_BYTES_MAX = 4096;

/** What does not change while a mount is there. */
export interface MountRecord {
  readonly directory: string;
  /** The program that unmounts it, '' for none. */
  readonly helper: string;
  readonly agreed: Agreed;
  /** Whoever mounted it: what it shows, and how. */
  readonly text: string;
  /** How many processes have served it before. */
  readonly generation: number;
}

/** What the kernel agreed to. */
export interface Agreed {
  /** Minor version of the kernel's protocol 7. */
  readonly minor: number;
  readonly passthrough: boolean;
  /** Bytes in the largest READ. */
  readonly readBytesMax: number;
  /** The kernel leaves it to us to take setuid bits away. */
  readonly killsPrivileges: boolean;
  /** It takes notices that only let a name expire. */
  readonly expires: boolean;
  /** It can deliver again what was not answered. */
  readonly resends: boolean;
}

/** A file that the kernel has open. */
export interface OpenFileRecord {
  readonly handle: Handle;
  readonly inode: Inode;
  /** The request that opened it. */
  readonly unique: number;
  /** As of the system call. */
  readonly flags: number;
  /** 0 where it is not open by passthrough. */
  readonly backingId: number;
}

export interface OpenDirectoryRecord {
  readonly handle: Handle;
  readonly inode: Inode;
  readonly unique: number;
  /** How far its listing has come. */
  readonly mark?: number | undefined;
}

/** What a mount's last process has left for the next. */
export interface LedgerContents {
  readonly mount: MountRecord;
  readonly files: readonly OpenFileRecord[];
  readonly directories: readonly OpenDirectoryRecord[];
  readonly held: HeldNodes;
  /** The kernel may keep what it should have been told to ask for again. */
  readonly isUntold: boolean;
}

/** What is recorded of one mount, in memory that outlives the process where a keeper holds it. */
export class MountLedger implements NodeNotes {
  readonly native: NativeLedger;
  readonly #scratch = Buffer.alloc(NAME_BYTES_MAX + 8);
  #telling = 0;

  /** @param descriptor of one that another process made, taken over; without it a new one */
  constructor(addon: Addon, descriptor = -1) {
    this.native = new addon.Ledger(descriptor);
  }

  putMount(record: MountRecord): void {
    const bytes = Buffer.from(JSON.stringify(record));
    this.native.put(KIND.mount, 0, bytes, bytes.length);
  }

  putDirectory({ handle, inode, unique }: OpenDirectoryRecord): void {
    this.#scratch.writeDoubleLE(inode, 0);
    this.#scratch.writeDoubleLE(unique, 8);
    this.native.put(KIND.directory, handle, this.#scratch, 16);
  }

  dropDirectory(handle: Handle): void {
    this.native.drop(KIND.directory, handle);
  }

  named(inode: Inode, parent: Inode, name: Key): void {
    this.#scratch.writeDoubleLE(parent, 0);
    const length = this.#scratch.write(name, 8, 'latin1');
    this.native.put(KIND.named, inode, this.#scratch, 8 + length);
  }

  unnamed(inode: Inode, what: string): void {
    const bytes = Buffer.from(what);
    this.native.put(KIND.unnamed, inode, bytes, bytes.length);
    this.native.drop(KIND.named, inode);
  }

  forgotten(inode: Inode): void {
    this.native.drop(KIND.named, inode);
    this.native.drop(KIND.unnamed, inode);
  }

  telling(): void {
    if (this.#telling === 0) this.native.put(KIND.telling, 0, this.#scratch, 0);
    this.#telling += 1;
  }

  told(): void {
    this.#telling -= 1;
    if (this.#telling === 0) this.native.drop(KIND.telling, 0);
  }

  shows(what: string): void {
    const bytes = Buffer.from(what);
    this.native.put(KIND.shown, 0, bytes, bytes.length);
  }

  listing(handle: Handle, mark: number | undefined): void {
    if (mark === undefined) return this.native.drop(KIND.listing, handle);
    this.#scratch.writeDoubleLE(mark, 0);
    this.native.put(KIND.listing, handle, this.#scratch, 8);
  }

  /** Nothing is left to be told that happened in an earlier process. */
  allTold(): void {
    this.native.drop(KIND.telling, 0);
    this.native.drop(KIND.untold, 0);
  }

  /** @throws TarnError corrupt when it is not whole, and so no use */
  contents(): LedgerContents {
    const records = this.native.records();
    if (records === undefined) throw notWhole();
    let mount: MountRecord | undefined;
    let isUntold = false;
    let shown: string | undefined;
    const files: OpenFileRecord[] = [];
    const directories: OpenDirectoryRecord[] = [];
    const marks = new Map<Handle, number>();
    const named = new Map<Inode, { readonly parent: Inode; readonly name: Key }>();
    const unnamed = new Map<Inode, string>();
    for (const { kind, number, at, end } of eachOf(records)) {
      switch (kind) {
        case KIND.file:
          files.push(openFileOf(records, number, at));
          break;
        case KIND.directory: {
          const inode = records.readDoubleLE(at);
          directories.push({ handle: number, inode, unique: records.readDoubleLE(at + 8) });
          break;
        }
        case KIND.mount:
          mount = JSON.parse(records.toString('utf8', at, end)) as MountRecord;
          break;
        case KIND.named: {
          const name = records.toString('latin1', at + 8, end) as Key;
          named.set(number, { parent: records.readDoubleLE(at), name });
          break;
        }
        case KIND.unnamed:
          unnamed.set(number, records.toString('utf8', at, end));
          break;
        case KIND.shown:
          shown = records.toString('utf8', at, end);
          break;
        case KIND.listing:
          marks.set(number, records.readDoubleLE(at));
          break;
        default:
          isUntold = true;
      }
    }
    if (mount === undefined) throw notWhole();
    return {
      mount,
      files,
      directories: directories.map((open) => ({ ...open, mark: marks.get(open.handle) })),
      held: { named, unnamed, shown },
      isUntold,
    };
  }
}

function openFileOf(records: Buffer, handle: Handle, at: number): OpenFileRecord {
  return {
    handle,
    unique: Number(records.readBigUInt64LE(at)),
    inode: Number(records.readBigUInt64LE(at + 8)),
    flags: records.readUInt32LE(at + 16),
    backingId: records.readInt32LE(at + 20),
  };
}

function* eachOf(
  records: Buffer,
): Generator<{ kind: number; number: number; at: number; end: number }> {
  for (let at = 0; at < records.length;) {
    const start = at + HEAD_BYTES;
    const end = start + records.readUInt32LE(at);
    const number = Number(records.readBigUInt64LE(at + 8));
    yield { kind: records.readUInt32LE(at + 4), number, at: start, end };
    at = end;
  }
}

function notWhole(): TarnError {
  return new TarnError('corrupt', 'what was recorded of the mount is not whole');
}
