import { serveJob } from '../../util/worker.js';
import { withJobContext } from './job-context.js';
import { putInto } from './put-files.js';
import type { PutInput, PutProgress, PutResult } from './put.js';

await serveJob<PutInput, PutProgress, PutResult>((input, signal, onProgress) =>
  withJobContext(input, (context) => putInto(context, input, signal, onProgress)),
);
