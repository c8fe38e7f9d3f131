import { keyToText, ROOT_KEY } from '../../model/path.js';
import type { Repository } from '../../repo/repository.js';
import { storagePlace } from '../../repo/storage.js';
import { openBucket } from '../../store/open-bucket.js';
import { probeStore } from '../../store/probe.js';
import type { BucketUrl } from '../../store/storage-url.js';
import { asTarnError } from '../../util/errors.js';
import { plural } from '../../util/format.js';
import { listUnmountable } from '../../vfs/names.js';
import { fields, text } from '../arguments.js';
import type { CheckRow } from '../protocol.js';
import type { OperationHandler } from '../operation.js';
import type { Output } from '../output.js';

/** Paths named in one answer; all are counted. */
const SHOWN_MAX = 20;

/** Reads each branch's newest commit from end to end, without the bytes of files. */
export const doctorRepository: OperationHandler<'doctor.repository'> = {
  read: fields({ name: text }),
  run: async ({ repositories }, { name }, output, signal) => {
    const { storage } = repositories.known(name);
    const repository = await repositories.open(name);
    await output.row({ check: `repository ${name}`, state: 'ok', detail: `opens, in ${storage}` });
    const place = storagePlace(storage);
    if (place.kind !== 'local' && !(await probeBucket(place, output, signal))) return {};
    try {
      await checkBranches(repository, output, signal);
    } catch (error) {
      await fail('branches', error, output, signal);
    }
    return {};
  },
};

async function checkBranches(
  repository: Repository,
  output: Output<CheckRow>,
  signal: AbortSignal,
): Promise<void> {
  for await (const { name: branch, commit } of repository.listRefs('branch', { signal })) {
    const check = `branch ${branch}`;
    try {
      const view = await repository.commitView(branch, commit, signal);
      let hidden = 0;
      for await (const { key, why } of listUnmountable(view, signal)) {
        hidden += 1;
        if (hidden > SHOWN_MAX) continue;
        const path = keyToText(key);
        await output.row({
          check,
          state: 'warn',
          detail: `'${path}' is not shown in a mount: ${why}`,
        });
      }
      const { entries } = await view.totals(ROOT_KEY, signal);
      const shown = hidden === 0 ? 'all can be mounted' : `${hidden} cannot be shown in a mount`;
      await output.row({
        check,
        state: 'ok',
        detail: `${plural(entries, 'entry is', 'entries are')} readable, ${shown}`,
      });
    } catch (error) {
      await fail(check, error, output, signal);
    }
  }
}

async function fail(
  check: string,
  error: unknown,
  output: Output<CheckRow>,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const { message, hint } = asTarnError(error);
  const fix = hint === undefined ? {} : { fix: hint };
  await output.row({ check, state: 'fail', detail: message, ...fix });
}

/** Whether it can be asked at all. */
async function probeBucket(
  place: BucketUrl,
  output: Output<CheckRow>,
  signal: AbortSignal,
): Promise<boolean> {
  const store = await openBucket(place, { signal });
  try {
    let isUsable = true;
    for await (const row of probeStore(store, signal)) {
      await output.row(row);
      if (row.check === 'store') isUsable = false;
    }
    return isUsable;
  } finally {
    await store.close();
  }
}
