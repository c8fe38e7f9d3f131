import type { NodeId } from '../../model/ids.js';
import type { ForeignObject } from '../../store/foreign.js';
import { parseStorageUrl, shortStorageUrl } from '../../store/storage-url.js';
import type { Edit } from '../../tree/edit.js';
import { buildTree, editTree } from '../../tree/write.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import { faultPoint } from '../../util/fault-point.js';
import type { ImportObjectsInput, ImportResult } from './import.js';
import type { Listed } from './import-listed.js';
import { ListedFile } from './import-listed.js';
import type { ObjectsFrom } from './import-objects.js';
import { ObjectEntries } from './import-objects.js';
import { objectTarget, ownPrefixes } from './import-target.js';
import type { JobContext, JobOutput, JobRun } from './job.js';

const PROGRESS_INTERVAL_MS = 100;
/** How much listing a kill may cost. */
const KEEP_INTERVAL_MS = 3_000;

type Output = Pick<JobOutput<never>, 'signal' | 'progress'>;

/**
 * Stages the objects below a prefix of a bucket, or one object, as entries that point at them: nothing
 * is copied, and nothing read unless it is to be verified. Everything is staged at once at the end, or
 * nothing; how far the listing came is kept for the same import to go on from.
 * @throws TarnError not-found (the source, the branch), invalid, denied, unavailable, no-space, aborted
 */
export const run: JobRun<ImportObjectsInput, never, ImportResult> = async (context, input, out) => {
  const place = parseStorageUrl(input.source);
  if (place.kind === 'local') throw new TarnError('invalid', `'${input.source}' is no bucket`);
  const own = ownPrefixes(context.home, place);
  const bucket = await context.repository.foreign.bucket(place);
  const view = await context.workspace(input.branch).view(out.signal);
  const target = await objectTarget(bucket, place, view, input.prefix, out.signal);
  const from = { place, bucket, target };
  const entries = new ObjectEntries(input, from, context.repository.objects, own);
  return new ObjectImport(context, input, from, entries, out).run();
};

class ObjectImport {
  readonly #context: JobContext;
  readonly #input: ImportObjectsInput;
  readonly #from: ObjectsFrom;
  readonly #entries: ObjectEntries;
  readonly #out: Output;
  readonly #file: ListedFile;
  #wentOnAfter: ImportResult['wentOnAfter'];
  #after = '';
  #isDone = false;
  #fault: { readonly error: unknown } | undefined;
  #reportedMs = 0;

  constructor(
    context: JobContext,
    input: ImportObjectsInput,
    from: ObjectsFrom,
    entries: ObjectEntries,
    out: Output,
  ) {
    this.#context = context;
    this.#input = input;
    this.#from = from;
    this.#entries = entries;
    this.#out = out;
    this.#file = new ListedFile(context.home, input);
  }

  async run(): Promise<ImportResult> {
    const { signal } = this.#out;
    const { isDryRun } = this.#input;
    const { to, object } = this.#from.target;
    const workspace = this.#context.workspace(this.#input.branch);
    if (object !== undefined) {
      const entries = await this.#entries.of([object], signal);
      if (entries.length > 0 && !isDryRun) await workspace.stage(entries, signal);
    } else if (isDryRun) {
      for await (const page of this.#pages()) {
        await this.#entries.of(page, signal);
        this.#came(page);
      }
      this.#refuseNothing();
    } else {
      const tree = await this.#list();
      this.#refuseNothing();
      await workspace.graft(to, tree, 'add', signal);
      this.#file.remove();
    }
    return this.#result();
  }

  /** The tree of all that is below the prefix; a part of it is kept from time to time. */
  async #list(): Promise<NodeId> {
    const { nodes } = this.#context.repository;
    let tree = await this.#start();
    const pages = this.#pages();
    try {
      for (;;) {
        // Without the signal: what was listed is kept also when the import is interrupted.
        tree = (await editTree(nodes, tree, this.#part(pages))).id;
        if (this.#after !== '') this.#keep(tree);
        if (this.#fault !== undefined) throw this.#halfway(this.#fault.error);
        if (this.#isDone) return tree;
      }
    } finally {
      await pages.return(undefined);
    }
  }

  /** The tree to go on from. */
  async #start(): Promise<NodeId> {
    const { repository } = this.#context;
    const kept = this.#input.isAnew ? undefined : this.#file.load();
    if (kept !== undefined && (await this.#isThere(kept.tree))) {
      const { tree, after, counts, atMs } = kept;
      this.#after = after;
      this.#entries.restore(counts);
      this.#wentOnAfter = { files: counts.files, atMs };
      return tree;
    }
    return (await buildTree(repository.nodes, [])).id;
  }

  /** Nothing else names the tree: it may have been collected. */
  async #isThere(tree: NodeId): Promise<boolean> {
    try {
      await this.#context.repository.openTree(tree, this.#out.signal);
      return true;
    } catch (error) {
      if (asTarnError(error).kind === 'not-found') return false;
      throw error;
    }
  }

  /** What is listed in KEEP_INTERVAL_MS, up to a fault or the end, which are noted. */
  async *#part(pages: AsyncGenerator<readonly ForeignObject[]>): AsyncGenerator<readonly Edit[]> {
    const untilMs = performance.now() + KEEP_INTERVAL_MS;
    try {
      do {
        const page = await pages.next();
        if (page.done === true) {
          this.#isDone = true;
          return;
        }
        const entries = await this.#entries.of(page.value, this.#out.signal);
        this.#came(page.value);
        yield entries.map(({ key, entry }) => ({ kind: 'put', key, entry }));
      } while (performance.now() < untilMs);
    } catch (error) {
      this.#fault = { error };
    }
  }

  #pages(): AsyncGenerator<readonly ForeignObject[]> {
    const { bucket, target } = this.#from;
    return bucket.list(target.from, { after: this.#after, signal: this.#out.signal });
  }

  #keep(tree: NodeId): void {
    const listed: Listed = {
      tree,
      after: this.#after,
      counts: this.#entries.counts(),
      atMs: Date.now(),
    };
    this.#file.save(listed);
    faultPoint('import-listed');
  }

  #halfway(error: unknown): unknown {
    const { files } = this.#entries.counts();
    if (this.#after === '' || this.#out.signal.aborted) return error;
    const { kind, message, hint } = asTarnError(error);
    return new TarnError(
      kind,
      `${message}; ${files.toLocaleString('en-US')} objects were listed by then, and nothing is staged yet`,
      {
        hint: `${hint === undefined ? '' : `${hint}; then `}run the same command again: it goes on from there`,
        cause: error,
      },
    );
  }

  /** @throws TarnError not-found where there is no object at all */
  #refuseNothing(): void {
    if (this.#after !== '') return;
    throw new TarnError(
      'not-found',
      `there is no object in '${shortStorageUrl(this.#from.place)}'`,
      {
        hint: 'check the name of the bucket and the prefix, which is case-sensitive',
      },
    );
  }

  #came(page: readonly ForeignObject[]): void {
    this.#after = page.at(-1)?.key ?? this.#after;
    const now = performance.now();
    if (now - this.#reportedMs < PROGRESS_INTERVAL_MS) return;
    this.#reportedMs = now;
    const { files, bytes } = this.#entries.counts();
    this.#out.progress({ files, bytes, current: this.#after });
  }

  #result(): ImportResult {
    const wentOnAfter = this.#wentOnAfter;
    return {
      url: shortStorageUrl(this.#from.place),
      symlinks: 0,
      ...this.#entries.counts(),
      ...(wentOnAfter === undefined ? {} : { wentOnAfter }),
    };
  }
}
