/**
 * A system under test with one repository of many files. Every call goes through the system's own
 * door (a socket or HTTP), and resolves when the work is done and durable.
 */
export interface Peer {
  readonly name: string;
  /** Makes the repository with `files` files of layout.ts on `main`, committed. */
  build(files: number): Promise<Built>;
  createBranch(name: string, from: string): Promise<void>;
  /** Stages new content at each path. `round` makes the contents differ from any before. */
  stage(branch: string, paths: readonly string[], round: number): Promise<void>;
  /** Resolves to the commit's id. */
  commit(branch: string, message: string): Promise<string>;
  /** How many paths differ. */
  diff(left: string, right: string): Promise<number>;
  merge(source: string, target: string): Promise<void>;
  revertNewest(branch: string): Promise<void>;
  lookUp(ref: string, path: string): Promise<void>;
  /** How many names lie directly below `prefix`. */
  list(ref: string, prefix: string): Promise<number>;
  /** How many commits changed what lies at `path`; a prefix ends with `/`. */
  log(ref: string, path: string): Promise<number>;
  /** Bytes of metadata on the disk; undefined where it cannot be seen. */
  metadataBytes(): Promise<number | undefined>;
  /** Highest resident memory so far, MiB; undefined where it cannot be seen. */
  peakMib(): Promise<number | undefined>;
  close(): Promise<void>;
}

export interface Built {
  readonly seconds: number;
  /** Of the process that built it, where that is one of its own. */
  readonly peakMib?: number;
}
