import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { aroundBucket } from './bucket/around.js';
import type { Bucket } from './bucket/bucket.js';
import { BucketStore } from './bucket/bucket-store.js';
import { withDeadline } from './bucket/deadline.js';
import { RequestLimit } from './bucket/limit.js';
import { BucketMetrics } from './bucket/metrics.js';
import { withRetries } from './bucket/retries.js';
import { isKey } from './keys.js';
import type { BucketKind, BucketUrl } from './storage-url.js';
import { formatStorageUrl } from './storage-url.js';

export interface OpenBucketOptions {
  /** How long each call may take, retries included, beside the time that its bytes take. */
  readonly timeoutMs?: number;
  /** Holds what is uploaded until its key is known; the system's temporary directory otherwise. */
  readonly directory?: string;
  /** Keeps what is known of uploads under way where the store tells nobody; without it they begin anew. */
  readonly uploads?: string;
  /** Counts what is asked of the bucket. */
  readonly metrics?: BucketMetrics;
  readonly signal?: AbortSignal;
}

/** Without TARN_TIMEOUT. */
const TIMEOUT_MS = 60_000;
/** A day. */
const TIMEOUT_S_MAX = 86_400;
const ATTEMPTS_MAX = 6;
const ATTEMPT_MS_MIN = 1_000;
/** So many attempts that bring nothing fit into the time of a call. */
const ATTEMPTS_OF_TIME = 4;
const WAIT_MS = 200;

/**
 * The objects below the URL's prefix. Asks nothing of the bucket yet; loads the cloud's SDK, which
 * takes a while, only now.
 * @throws TarnError invalid (the prefix, or an option); not-found, denied (a file that one names)
 */
export async function openBucket(
  url: BucketUrl,
  options: OpenBucketOptions = {},
): Promise<BucketStore> {
  const prefix = namespaceOf(url);
  const { metrics = new BucketMetrics() } = options;
  const bucket = await connect({ ...url, prefix }, metrics, options);
  const { directory } = options;
  return new BucketStore(bucket, {
    prefix,
    metrics,
    ...(directory === undefined ? {} : { directory }),
  });
}

/**
 * The bucket's own requests, for what is no object of a repository. Asks nothing yet.
 * @throws as openBucket, but for the prefix, of which only messages tell
 */
export async function connect(
  url: BucketUrl,
  metrics: BucketMetrics,
  { timeoutMs = defaultTimeoutMs(), uploads, signal }: OpenBucketOptions = {},
): Promise<Bucket> {
  throwIfAborted(signal);
  return guarded(await rawBucket(url, timeoutMs, uploads), metrics, timeoutMs);
}

/** What this environment's TARN_TIMEOUT says, in seconds. @throws TarnError invalid */
function defaultTimeoutMs({ TARN_TIMEOUT: given }: NodeJS.ProcessEnv = process.env): number {
  if (given === undefined || given === '') return TIMEOUT_MS;
  const seconds = Number(given);
  if (seconds > 0 && seconds <= TIMEOUT_S_MAX) return seconds * 1000;
  throw new TarnError('invalid', `the environment's TARN_TIMEOUT is '${given}'`, {
    hint: `give it in seconds, at most ${TIMEOUT_S_MAX}`,
  });
}

/** Each request counted and bounded, each call repeated where that helps, so many calls at once as help. */
export function guarded(raw: Bucket, metrics: BucketMetrics, timeoutMs: number): Bucket {
  const limit = new RequestLimit();
  const counted = aroundBucket(raw, metrics.around);
  const bounded = aroundBucket(counted, withDeadline(attemptMs(timeoutMs)));
  return withRetries(bounded, {
    timeoutMs,
    attemptsMax: ATTEMPTS_MAX,
    waitMs: WAIT_MS,
    limit: limit.around,
    onThrottled: () => limit.throttled(),
    onRetry: () => metrics.retried(),
    onCircuit: (openSinceMs) => metrics.circuit(openSinceMs),
  });
}

function attemptMs(timeoutMs: number): number {
  return Math.max(ATTEMPT_MS_MIN, timeoutMs / ATTEMPTS_OF_TIME);
}

const ADAPTERS = {
  s3: () => import('./s3/s3-bucket.js'),
  az: () => import('./azure/azure-bucket.js'),
  gs: () => import('./gcs/gcs-bucket.js'),
};

/** Loads the cloud's SDK, so that the first bucket to be opened does not wait for it. */
export async function loadSdk(kind: BucketKind): Promise<void> {
  await ADAPTERS[kind]();
}

/** Has a request made that asks nobody, where the first of a process takes much longer than the others. */
export async function rehearseRequest(kind: BucketKind): Promise<void> {
  if (kind === 's3') await (await import('./s3/rehearsal.js')).rehearse();
}

async function rawBucket(
  url: BucketUrl,
  timeoutMs: number,
  uploads: string | undefined,
): Promise<Bucket> {
  switch (url.kind) {
    case 's3': {
      const { S3Bucket } = await ADAPTERS.s3();
      return new S3Bucket(url, attemptMs(timeoutMs));
    }
    case 'az': {
      const { AzureBucket } = await ADAPTERS.az();
      return AzureBucket.open(url);
    }
    case 'gs': {
      const { GcsBucket } = await ADAPTERS.gs();
      return new GcsBucket(url, uploads);
    }
  }
}

/** @throws TarnError invalid */
function namespaceOf(url: BucketUrl): string {
  const prefix = url.prefix.replace(/\/$/, '');
  if (prefix === '' || isKey(prefix)) return prefix;
  throw new TarnError('invalid', `'${formatStorageUrl(url)}' cannot hold a repository`, {
    hint: "its prefix may have letters, digits, '.', '_' and '-' between single '/', and no component that begins with '.'",
  });
}
