import type { JobRun } from './job.js';
import { putInto } from './put-files.js';
import type { PutInput, PutResult } from './put.js';

/**
 * Reads files and folders into a repository and stages them on a branch. Keeps permission bits and
 * modification times. What is staged when it stops early stays staged, and only refers to durable
 * contents; run again, it stores no content twice.
 * @throws TarnError not-found (a source, the branch), is-directory, invalid, no-space, aborted, io
 */
export const run: JobRun<PutInput, never, PutResult> = putInto;
