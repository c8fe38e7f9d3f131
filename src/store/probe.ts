import { randomUUID } from 'node:crypto';
import { asTarnError, TarnError } from '../util/errors.js';
import type { BucketStore } from './bucket/bucket-store.js';
import type { ObjectStore } from './object-store.js';

/** One thing that a store was tried on. */
export interface ProbeResult {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** Below it lie the objects that a probe makes, and those that one left which was killed. */
export const PROBE_PREFIX = 'probe/';

const RACERS = 8;
const RACES = 4;
/** So often each racer says its name: 64 KiB. */
const RACER_REPEATS = 8_192;
const LATENCY_SAMPLES = 7;
const SKEW_MS_WARN = 60_000;
const ELSEWHERE =
  'use a store whose conditional writes work: AWS S3, Google Cloud Storage, Azure Blob Storage, or a newer version of this one';

/**
 * Tries what a repository needs of a store: rights, conditional writes, time. It writes small objects
 * below `probe/` and deletes them. A fault ends it, as a result that tells of it.
 */
export async function* probeStore(
  store: BucketStore,
  signal?: AbortSignal,
): AsyncGenerator<ProbeResult> {
  const probe = new Probe(store, signal);
  try {
    const { result, refused } = await probe.rights();
    yield result;
    if (refused.has('put') || refused.has('read')) return;
    if (!refused.has('list')) yield await probe.listing();
    yield await probe.conditions();
    yield await probe.latency();
    yield await probe.clock(store);
    yield await versions(store, signal);
  } catch (error) {
    const fault = asTarnError(error);
    if (fault.kind === 'aborted') throw fault;
    const { message, hint } = fault;
    yield {
      check: 'store',
      state: 'fail',
      detail: message,
      ...(hint === undefined ? {} : { fix: hint }),
    };
  } finally {
    await probe.clean();
  }
}

/**
 * Refuses a store that accepts conditional writes and ignores them: commits would be lost in it.
 * @throws TarnError unsupported (it does), denied, unavailable, aborted
 */
export async function requireConditionalWrites(
  store: ObjectStore,
  signal?: AbortSignal,
): Promise<void> {
  const probe = new Probe(store, signal);
  try {
    const { state, detail, fix } = await probe.conditions();
    if (state === 'ok') return;
    throw new TarnError('unsupported', detail, fix === undefined ? {} : { hint: fix });
  } finally {
    await probe.clean();
  }
}

type Right = 'put' | 'read' | 'list' | 'delete';

const DONE: Readonly<Record<Right, string>> = {
  put: 'put',
  read: 'read',
  list: 'listed',
  delete: 'deleted',
};
/** What each cloud calls them. */
const RIGHTS: Readonly<Record<string, Readonly<Record<Right, string>>>> = {
  s3: {
    put: 's3:PutObject',
    read: 's3:GetObject',
    list: 's3:ListBucket',
    delete: 's3:DeleteObject',
  },
  gs: {
    put: 'storage.objects.create',
    read: 'storage.objects.get',
    list: 'storage.objects.list',
    delete: 'storage.objects.delete',
  },
};
/** All of them, which Azure gives by roles. */
const AZURE_ROLE = 'the role Storage Blob Data Contributor';

class Probe {
  readonly #store: ObjectStore;
  readonly #signal: AbortSignal | undefined;
  readonly #base = `${PROBE_PREFIX}${randomUUID()}`;
  readonly #made = new Set<string>();

  constructor(store: ObjectStore, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#signal = signal;
  }

  /**
   * Each right is tried by itself, but reading, for which there must be an object.
   * @throws TarnError what the store says, when it refuses everything
   */
  async rights(): Promise<{ result: ProbeResult; refused: ReadonlySet<Right> }> {
    const key = this.#key('rights');
    const bytes = Buffer.from('tarn');
    const faults = new Map<Right, TarnError>();
    const attempt = async (right: Right, work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (!(error instanceof TarnError) || error.kind !== 'denied') throw error;
        faults.set(right, error);
      }
    };
    let found: Uint8Array = bytes;
    await attempt('put', () => this.#put(key, bytes));
    if (!faults.has('put')) {
      await attempt('read', async () => {
        found = await this.#store.get(key, this.#sending());
        await this.#store.head(key, this.#signal);
      });
    }
    await attempt('list', async () => {
      for await (const _ of this.#store.list(`${this.#base}/`, this.#sending())) return;
    });
    await attempt('delete', () => this.#store.delete(key, this.#signal));
    const refused = new Set(faults.keys());
    const [first] = faults.values();
    if (first !== undefined && refused.size === 3 && refused.has('put')) throw first;
    if (first !== undefined) return { result: this.#refusal(refused, first), refused };
    if (Buffer.compare(found, bytes) !== 0) {
      const detail = `'${this.#store.url}' gives back other bytes than were put`;
      return { result: this.#fail('rights', detail), refused };
    }
    const detail = 'objects can be put, read, listed and deleted';
    return { result: { check: 'rights', state: 'ok', detail }, refused };
  }

  #refusal(refused: ReadonlySet<Right>, { message }: TarnError): ProbeResult {
    const { url } = this.#store;
    const rights = [...refused];
    const named = RIGHTS[url.slice(0, url.indexOf(':'))];
    const missing =
      named === undefined ? AZURE_ROLE : rights.map((right) => named[right]).join(' and ');
    const isReader = !refused.has('read') && !refused.has('list');
    return {
      check: 'rights',
      state: isReader ? 'warn' : 'fail',
      detail: `objects cannot be ${rights.map((right) => DONE[right]).join(' or ')}: ${message}`,
      fix: `${isReader ? 'to do more than that leaves, ' : ''}give who the credentials are of ${missing}`,
    };
  }

  async listing(): Promise<ProbeResult> {
    const key = this.#key('listing');
    const check = 'listing';
    const etag = await this.#put(key, Buffer.from('x'));
    for await (const object of this.#store.list(`${this.#base}/`, this.#sending())) {
      if (object.key !== key) continue;
      if (object.etag === etag) return { check, state: 'ok', detail: 'tells at once what was put' };
      return {
        check,
        state: 'warn',
        detail: `listings of '${this.#store.url}' do not tell the ETag of objects`,
        fix: 'objects of this store cannot be imported, since nothing would tell when they change',
      };
    }
    return this.#fail(check, `'${this.#store.url}' does not list what was just put`);
  }

  async conditions(): Promise<ProbeResult> {
    const key = this.#key('conditions');
    const first = await this.#put(key, Buffer.from('first'), { ifNoneMatch: '*' });
    if (await this.#succeeds(key, 'again', { ifNoneMatch: '*' })) {
      return this.#ignores("a put with 'If-None-Match: *' replaced an object");
    }
    const second = await this.#put(key, Buffer.from('second'), { ifMatch: first });
    if (await this.#succeeds(key, 'stale', { ifMatch: first })) {
      return this.#ignores("a put with 'If-Match' replaced an object that it did not name");
    }
    for (let round = 0; round < RACES; round += 1) {
      const creators = await this.#race(this.#key(`race-${round}`), { ifNoneMatch: '*' });
      if (creators !== 1) {
        return this.#ignores(
          `of ${RACERS} puts with 'If-None-Match: *' at once ${creators} succeeded`,
        );
      }
    }
    const replacers = await this.#race(key, { ifMatch: second });
    if (replacers !== 1) {
      return this.#ignores(`of ${RACERS} puts with one 'If-Match' at once ${replacers} succeeded`);
    }
    return {
      check: 'conditional writes',
      state: 'ok',
      detail: 'honoured, also among many at once',
    };
  }

  async latency(): Promise<ProbeResult> {
    const key = this.#key('latency');
    await this.#put(key, Buffer.from('x'));
    const times: number[] = [];
    for (let i = 0; i < LATENCY_SAMPLES; i += 1) {
      const start = performance.now();
      await this.#store.head(key, this.#signal);
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[Math.floor(LATENCY_SAMPLES / 2)] ?? 0;
    const detail = `a request takes ${median.toFixed(1)} ms (median of ${LATENCY_SAMPLES})`;
    return { check: 'latency', state: 'ok', detail };
  }

  /** The store's clock by the time that it gives an object; it tells whole seconds. */
  async clock({ bucket, base }: BucketStore): Promise<ProbeResult> {
    const key = this.#key('clock');
    const beforeMs = Date.now();
    await this.#put(key, Buffer.from('x'));
    const afterMs = Date.now();
    const found = await bucket.head(`${base}${key}`, { signal: this.#signal });
    const storedMs = found?.mtimeMs ?? 0;
    if (storedMs === 0) {
      return { check: 'clock', state: 'warn', detail: 'the store tells no time' };
    }
    const aheadMs = storedMs - afterMs;
    const behindMs = beforeMs - 1_000 - storedMs;
    const skewMs = Math.max(0, aheadMs, behindMs);
    if (skewMs <= SKEW_MS_WARN) {
      return { check: 'clock', state: 'ok', detail: 'agrees with the store' };
    }
    return {
      check: 'clock',
      state: 'warn',
      detail: `this machine's clock and the store's differ by ${Math.round(skewMs / 1000)} s`,
      fix: "set this machine's clock, for example with 'timedatectl set-ntp true': beyond some minutes stores refuse requests",
    };
  }

  /** What cannot be deleted stays: small, and below `probe/`. */
  async clean(): Promise<void> {
    const deletions = [...this.#made].map((key) => this.#store.delete(key));
    await Promise.allSettled(deletions);
  }

  /** With connections that are open already and bodies that take a moment: so that they do meet. */
  async #race(key: string, condition: Condition): Promise<number> {
    await Promise.all(Array.from({ length: RACERS }, () => this.#store.head(key, this.#signal)));
    const puts = Array.from({ length: RACERS }, (_, i) =>
      this.#succeeds(key, `racer ${i} `.repeat(RACER_REPEATS), condition),
    );
    return (await Promise.all(puts)).filter((done) => done).length;
  }

  async #succeeds(key: string, text: string, condition: Condition): Promise<boolean> {
    try {
      await this.#put(key, Buffer.from(text), condition);
      return true;
    } catch (error) {
      if (error instanceof TarnError && error.kind === 'conflict') return false;
      throw error;
    }
  }

  async #put(key: string, bytes: Uint8Array, condition: Condition = {}): Promise<string> {
    this.#made.add(key);
    const { etag } = await this.#store.put(key, bytes, { ...condition, ...this.#sending() });
    return etag;
  }

  #ignores(how: string): ProbeResult {
    const detail = `'${this.#store.url}' does not honour conditional writes (${how}): commits of several writers would be lost in it`;
    return { check: 'conditional writes', state: 'fail', detail, fix: ELSEWHERE };
  }

  #fail(check: string, detail: string): ProbeResult {
    return { check, state: 'fail', detail };
  }

  #key(name: string): string {
    return `${this.#base}/${name}`;
  }

  #sending(): { signal?: AbortSignal } {
    return this.#signal === undefined ? {} : { signal: this.#signal };
  }
}

type Condition = { readonly ifNoneMatch?: '*' } | { readonly ifMatch: string };

async function versions(
  { bucket }: BucketStore,
  signal: AbortSignal | undefined,
): Promise<ProbeResult> {
  const keeps = await bucket.keepsVersions(signal);
  const check = 'versions';
  if (keeps === undefined) {
    return { check, state: 'ok', detail: 'the store does not tell whether it keeps versions' };
  }
  const detail = keeps
    ? 'kept by the bucket: what is deleted or replaced goes on to take room until a rule ends it'
    : 'not kept by the bucket';
  return { check, state: 'ok', detail };
}
