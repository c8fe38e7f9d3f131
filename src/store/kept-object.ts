import type { ReadTally } from './traffic.js';

/**
 * What is kept on this machine of one object that lies elsewhere: a sparse file that has the object's
 * bytes at their places. Nothing here is verified but what `isVerified` says.
 */
export interface KeptObject {
  /** Open for reading, until release; undefined where nothing can be kept. */
  readonly fd: number | undefined;
  /** Every byte of the object was verified in the file, which has not changed since. */
  readonly isVerified: boolean;

  /** Whether the file has all of bytes [start, end). */
  has(start: number, end: number): boolean;
  /** Bytes [start, end) from the file, all of them; undefined when it does not have them. */
  read(start: number, end: number): Promise<Uint8Array | undefined>;
  /**
   * Bytes [start, end) from where the object lies, which are not kept by this.
   * @param options.into as GetOptions
   * @throws TarnError as ObjectStore.get
   */
  fetch(
    start: number,
    end: number,
    options: { readonly tally: ReadTally | undefined; readonly into?: Uint8Array | undefined },
  ): Promise<Uint8Array>;
  /** Keeps bytes; resolves to whether the file has them. Never rejects. */
  keep(start: number, bytes: Uint8Array): Promise<boolean>;
  /** What the file has in [start, end) is wrong. */
  drop(start: number, end: number): void;
  /** Every byte in the file was verified: remembered, also by later processes, once it is synced. */
  markVerified(): Promise<void>;
  /** Waits for memory to fetch ahead with; resolves to what gives it back. @throws TarnError aborted */
  reserve(bytes: number, signal?: AbortSignal): Promise<() => void>;
  /** What counts its reads where nothing else does. */
  readonly tally: ReadTally;
  /** Must be called once. */
  release(): void;
}
