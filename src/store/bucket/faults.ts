import { TarnError } from '../../util/errors.js';
import type { ErrorDetails } from '../../util/errors.js';
import { printable } from '../../util/printable.js';
import type { BucketUrl } from '../storage-url.js';
import { shortStorageUrl } from '../storage-url.js';

export interface TransientDetails extends ErrorDetails {
  /** The store asked for fewer requests. */
  readonly isThrottled?: boolean;
  /** The least time to wait that it asked for. */
  readonly afterMs?: number | undefined;
}

/** The same request may succeed later. Its outcome is unknown: it may also have been done. */
export class TransientFault extends TarnError {
  readonly isThrottled: boolean;
  readonly afterMs: number;

  constructor(message: string, details: TransientDetails = {}) {
    super('unavailable', message, details);
    this.isThrottled = details.isThrottled ?? false;
    this.afterMs = details.afterMs ?? 0;
  }
}

/** The object must be restored before its bytes can be had. */
export class ArchivedFault extends TarnError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('denied', message, {
      hint: 'restore it with the tools of its cloud, wait until that is done, and read again',
      ...details,
    });
  }
}

/** What a cloud said of a request that failed. */
export interface Answer {
  /** HTTP status; undefined when none came. */
  readonly status: number | undefined;
  /** The cloud's name for it, or the error code of the system. */
  readonly code: string;
  readonly message: string;
  /** Seconds, or a date: the header Retry-After. */
  readonly retryAfter?: string | undefined;
  /** Where the bucket is, if it tells. */
  readonly region?: string | undefined;
}

/** What was being done. */
export interface Doing {
  /** `reading`, `writing`, … */
  readonly doing: string;
  /** Undefined when the request is about the bucket as a whole. */
  readonly key: string | undefined;
  /** Of the bucket, with the prefix that its user has. */
  readonly url: string;
}

/** How messages name a bucket and its objects: below the prefix that its user has. */
export class Named {
  readonly url: string;
  readonly #base: string;

  constructor(url: string, base: string) {
    this.url = url;
    this.#base = base;
  }

  static of(place: BucketUrl): Named {
    const prefix = place.prefix.replace(/\/$/, '');
    return new Named(shortStorageUrl({ ...place, prefix }), prefix === '' ? '' : `${prefix}/`);
  }

  doing(doing: string, key?: string): Doing {
    const own = key?.startsWith(this.#base) === true ? key.slice(this.#base.length) : key;
    return { doing, key: own, url: this.url };
  }
}

const THROTTLED = /^(SlowDown|Throttl|TooManyRequests|RequestLimitExceeded|ServerBusy|rateLimit)/;
const FULL = /(StorageFull|InsufficientStorage|QuotaExceeded|InsufficientAccountStorage)/;
const REPEATABLE =
  /^(RequestTimeout|ConditionalRequestConflict|OperationAborted|OperationTimedOut|InternalError)/;
const ARCHIVED = /^(InvalidObjectState|BlobArchived|BlobBeingRehydrated)/;
const SKEWED = /(TimeTooSkewed|RequestExpired)/;
const NO_BUCKET = /^(NoSuchBucket|ContainerNotFound|ContainerBeingDeleted|AccountNotFound)/;
const NO_CREDENTIALS =
  /(CredentialsProviderError|CredentialUnavailable|AggregateAuthentication|Could not load credentials)/;
/** Who gives out tokens refuses, before the store is asked. */
const NO_TOKEN = /^Authentication(Required)?Error$/;
const EXPIRED = /^(ExpiredToken|TokenRefreshRequired)/;
const ELSEWHERE =
  /^(PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocation|Redirect)/;
const CERTIFICATE = /(CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ALTNAME)/;
/** The answer to a HEAD has no words. */
const WORDLESS = /^(Unknown|UnknownError|BadRequest|400)$/;
const SYSTEM = /^(E[A-Z]{3,}|UND_ERR_\w+|TimeoutError|ERR_STREAM_PREMATURE_CLOSE)$/;

/** One table for all clouds: what came of a request, as an error of ours. */
export function bucketFault(answer: Answer, doing: Doing, cause: unknown): TarnError {
  const { status, code } = answer;
  const at = placeOf(doing);
  const said = `${doing.doing} ${at}: ${printable(answer.message || code)}`;
  if (NO_BUCKET.test(code) || (status === 404 && doing.key === undefined)) {
    const hint = 'check its name, the endpoint and the account; it may have been deleted';
    return new TarnError('unavailable', `there is no bucket '${doing.url}'`, { hint, cause });
  }
  if (ARCHIVED.test(code)) {
    const message = `${at} is archived and must be restored first: ${answer.message}`;
    return new ArchivedFault(message, { cause });
  }
  if (SKEWED.test(code)) {
    const hint = "set this machine's clock, for example with 'timedatectl set-ntp true'";
    return new TarnError('denied', `this machine's clock is wrong, says the store; ${said}`, {
      hint,
      cause,
    });
  }
  if (NO_CREDENTIALS.test(code)) {
    return new TarnError('denied', `no credentials for '${doing.url}' were found`, {
      hint: "give them as the cloud's own tools take them: environment, profile, or the machine's role",
      cause,
    });
  }
  if (NO_TOKEN.test(code)) {
    return new TarnError('denied', `no token was given for '${doing.url}'; ${said}`, {
      hint: 'check the tenant, the client and its secret or token that are found',
      cause,
    });
  }
  if (EXPIRED.test(code)) {
    return new TarnError('denied', `the credentials have expired; ${said}`, {
      hint: "renew them; those that came from the daemon's environment are seen after 'tarn daemon stop'",
      cause,
    });
  }
  if (ELSEWHERE.test(code) || status === 301 || status === 307) {
    const { region } = answer;
    const own = region === undefined ? '' : `, ${printable(region)},`;
    return new TarnError('invalid', `the bucket is in another region; ${said}`, {
      hint: `name the bucket's own region${own} and endpoint`,
      cause,
    });
  }
  if (FULL.test(code) || status === 507) {
    const hint = "make room in the store, or raise its owner's quota";
    return new TarnError('no-space', said, { hint, cause });
  }
  if (status === 429 || status === 503 || THROTTLED.test(code)) {
    return new TransientFault(said, { isThrottled: true, afterMs: waitOf(answer), cause });
  }
  if (REPEATABLE.test(code)) return new TransientFault(said, { cause });
  return faultOfStatus(answer, doing, said, cause);
}

function faultOfStatus(answer: Answer, doing: Doing, said: string, cause: unknown): TarnError {
  const { status, code } = answer;
  switch (status) {
    case 400:
      if (!WORDLESS.test(code)) break;
      return new TarnError('denied', `the store refuses without a reason; ${said}`, {
        hint: 'check that the credentials that are found have not expired, and the region',
        cause,
      });
    case 404:
      return missingFault(doing, cause);
    case 412:
      return conflictFault(doing, cause);
    case 401:
    case 403:
      return new TarnError('denied', `the store refuses; ${said}`, {
        hint: 'check which credentials are found, that they have not expired, and what they may do in this bucket',
        cause,
      });
    case 413:
      return new TarnError('too-large', said, { cause });
    case 501:
      return new TarnError('unsupported', `the store cannot do it; ${said}`, { cause });
    case undefined:
      if (CERTIFICATE.test(code)) {
        const hint = "name the file of its authority's certificate with the option ca-file";
        return new TarnError('unavailable', `not a trusted server; ${said}`, { hint, cause });
      }
      if (code === 'EPROTO') {
        const hint = 'is the endpoint http:// instead of https://?';
        return new TarnError('unavailable', `the server speaks no TLS; ${said}`, { hint, cause });
      }
      if (SYSTEM.test(code)) return new TransientFault(`no answer; ${said}`, { cause });
      return new TarnError('io', said, { cause });
  }
  if (status >= 500) return new TransientFault(`the store failed; ${said}`, { cause });
  return new TarnError('io', `the store answers ${status} ${code}; ${said}`, { cause });
}

export function missingFault(doing: Doing, cause?: unknown): TarnError {
  return new TarnError('not-found', `${placeOf(doing)} is missing`, { cause });
}

export function conflictFault(doing: Doing, cause?: unknown): TarnError {
  return new TarnError('conflict', `${placeOf(doing)} is not as expected`, { cause });
}

/** Fewer bytes came than were announced. */
export function truncatedFault(doing: Doing, got: number, expected: number): TransientFault {
  return new TransientFault(
    `the answer ended after ${got} of ${expected} bytes; ${doing.doing} ${placeOf(doing)}`,
  );
}

export function placeOf({ key, url }: Pick<Doing, 'key' | 'url'>): string {
  return key === undefined ? `'${url}'` : `object '${key}' in '${url}'`;
}

const RETRY_AFTER_MS_MAX = 30_000;

function waitOf({ retryAfter }: Answer): number | undefined {
  if (retryAfter === undefined) return undefined;
  const seconds = Number(retryAfter);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(retryAfter) - Date.now();
  return Number.isFinite(ms) ? Math.min(RETRY_AFTER_MS_MAX, Math.max(0, ms)) : undefined;
}
