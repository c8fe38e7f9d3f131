import { serveJob } from '../../util/worker.js';
import type { CommitId } from '../../model/ids.js';
import type { CommitInput } from './commit.js';
import { withJobContext } from './job-context.js';

await serveJob<CommitInput, never, CommitId>((input, signal) =>
  withJobContext(input, ({ workspace }) => workspace.commit({ ...input, signal })),
);
