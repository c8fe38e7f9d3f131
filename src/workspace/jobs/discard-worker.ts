import { serveJob } from '../../util/worker.js';
import type { DiscardInput } from './discard.js';
import { withJobContext } from './job-context.js';

await serveJob<DiscardInput, never, void>((input) =>
  withJobContext(input, async ({ workspace }) => workspace.discard(input.versionMax)),
);
