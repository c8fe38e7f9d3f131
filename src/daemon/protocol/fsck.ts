import type { Counts, Fault } from '../../repo/fsck/findings.js';
import type { Operation } from './terms.js';

export interface FsckOperations {
  fsck: Operation<{ repository: string; fast: boolean }, Fault, Counts>;
}
