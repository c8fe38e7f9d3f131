import type { IncomingMessage } from 'node:http';
import { TarnError } from '../../util/errors.js';
import type {
  Bucket,
  BucketBytes,
  BucketGet,
  BucketHead,
  BucketObject,
  BucketPage,
  BucketParts,
  BucketPut,
  BucketQuery,
  BucketTag,
} from '../bucket/bucket.js';
import type { Doing } from '../bucket/faults.js';
import { Named } from '../bucket/faults.js';
import { rangeHeader, readBody, wholeSize } from '../bucket/read-body.js';
import type { BucketUrl } from '../storage-url.js';
import { gcsFault, readJson, refusal } from './answers.js';
import { GcsHttp } from './http.js';
import type { LeftSession } from './left-session.js';
import { LeftUpload } from './left-session.js';
import { multipartBody, resourceOf } from './multipart.js';
import type { Resource } from './resource.js';
import { generationCondition, OBJECT_FIELDS, objectOf } from './resource.js';
import type { Target } from './parts.js';
import { GcsParts } from './parts.js';

const PARTIAL_CONTENT = 206;
const NOT_SATISFIABLE = 416;
const JSON_TYPE = { 'content-type': 'application/json' };

/** A bucket of Google Cloud Storage, by its JSON API. An object's tag is its generation. */
export class GcsBucket implements Bucket {
  readonly url: string;
  readonly #named: Named;
  readonly #http: GcsHttp;
  readonly #bucket: string;
  readonly #billed: string | undefined;
  readonly #uploads: string | undefined;

  /**
   * @param uploads directory that keeps what is known of uploads under way, so that a later process goes on
   * @throws TarnError not-found, denied: the file of certificates
   */
  constructor(place: BucketUrl, uploads?: string) {
    this.#named = Named.of(place);
    this.url = this.#named.url;
    this.#http = new GcsHttp(place.options);
    this.#uploads = uploads;
    this.#bucket = encodeURIComponent(place.bucket);
    this.#billed = place.options.billingProject;
  }

  async get(key: string, options: BucketGet): Promise<BucketBytes | 'behind-end'> {
    const doing = this.#named.doing('reading', key);
    const { range, ifMatch, version, signal } = options;
    const path = this.#object(key, {
      alt: 'media',
      ...generationCondition({ ...(ifMatch === undefined ? {} : { ifMatch }) }, doing),
      ...(version === undefined ? {} : { generation: version }),
    });
    // Otherwise what was stored compressed would come unpacked.
    const headers = {
      'accept-encoding': 'gzip',
      ...(range === undefined ? {} : { range: rangeHeader(range) }),
    };
    try {
      const answer = await this.#http.send({ method: 'GET', path, headers, signal });
      if (answer.statusCode === NOT_SATISFIABLE) {
        answer.resume();
        return 'behind-end';
      }
      if (answer.statusCode !== 200 && answer.statusCode !== PARTIAL_CONTENT) {
        throw await refusal(answer, doing, signal);
      }
      const length = Number(answer.headers['content-length'] ?? 0);
      const bytes = await readBody(answer, length, doing, { into: options.into, signal });
      const etag = String(answer.headers['x-goog-generation'] ?? '');
      return { bytes, etag, size: wholeSize(answer.headers['content-range']) ?? length };
    } catch (error) {
      throw gcsFault(error, doing);
    }
  }

  async put(key: string, bytes: Uint8Array, options: BucketPut): Promise<BucketTag> {
    const doing = this.#named.doing('writing', key);
    const condition = generationCondition(options, doing);
    const { type, body } = multipartBody(resourceOf(key, options.writer), bytes);
    const path = this.#upload({ uploadType: 'multipart', ...condition });
    const headers = { 'content-type': type };
    const sent = { method: 'POST', path, headers, body, signal: options.signal } as const;
    try {
      const answer = await this.#http.send(sent);
      const { generation = '' } = await readJson<Resource>(answer, doing, options.signal);
      return { etag: generation };
    } catch (error) {
      throw gcsFault(error, doing);
    }
  }

  async head(key: string, options: BucketHead): Promise<BucketObject | undefined> {
    const { version, signal } = options;
    const query = version === undefined ? {} : { generation: version };
    try {
      const path = this.#object(key, query);
      const found = await this.#ask<Resource>(path, this.#named.doing('looking up', key), signal);
      return objectOf(found, false);
    } catch (error) {
      if (error instanceof TarnError && error.kind === 'not-found') return undefined;
      throw error;
    }
  }

  async list(query: BucketQuery): Promise<BucketPage> {
    const { prefix, after, next, grouped, versions, limit, signal } = query;
    const path = this.#objects({
      prefix,
      fields: `prefixes,nextPageToken,items(${OBJECT_FIELDS})`,
      ...(grouped === true ? { delimiter: '/' } : {}),
      ...(next === undefined ? {} : { pageToken: next }),
      ...(next === undefined && after !== undefined ? { startOffset: after } : {}),
      ...(limit === undefined ? {} : { maxResults: String(limit) }),
    });
    const found = await this.#ask<Listing>(path, this.#named.doing('listing'), signal);
    return {
      objects: (found.items ?? []).map((item) => objectOf(item, versions === true)),
      prefixes: found.prefixes ?? [],
      next: found.nextPageToken === '' ? undefined : found.nextPageToken,
    };
  }

  delete(key: string, signal?: AbortSignal): Promise<void> {
    return this.#delete(key, {}, signal);
  }

  async #delete(
    key: string,
    condition: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const doing = this.#named.doing('deleting', key);
    try {
      const path = this.#object(key, condition);
      const answer = await this.#http.send({ method: 'DELETE', path, signal });
      if (isDone(answer)) answer.resume();
      else throw await refusal(answer, doing, signal);
    } catch (error) {
      const fault = gcsFault(error, doing);
      if (fault.kind !== 'not-found') throw fault;
    }
  }

  async startParts(key: string, size: number, options: BucketPut): Promise<BucketParts> {
    const doing = this.#named.doing('writing', key);
    const { ifMatch, ifNoneMatch, isAnew } = options;
    const isKept = this.#uploads !== undefined && ifMatch === undefined;
    const begun = [this.#http.service, this.#bucket, key, String(size), ifNoneMatch ?? ''];
    const left = isKept ? new LeftUpload(this.#uploads, begun) : undefined;
    const to: Target = {
      size,
      doing,
      left,
      takeBack: (generation, signal) =>
        this.#delete(key, { ifGenerationMatch: generation }, signal),
    };
    const found = isAnew === true ? undefined : await left?.find();
    return new GcsParts(this.#http, found ?? (await this.#begin(key, options, doing)), to);
  }

  async #begin(key: string, options: BucketPut, doing: Doing): Promise<LeftSession> {
    const path = this.#upload({
      uploadType: 'resumable',
      ...generationCondition(options, doing),
    });
    const body = Buffer.from(JSON.stringify(resourceOf(key, options.writer)));
    try {
      const { signal } = options;
      const sent = { method: 'POST', path, headers: JSON_TYPE, body, signal } as const;
      const answer = await this.#http.send(sent);
      if (!isDone(answer)) throw await refusal(answer, doing, signal);
      answer.resume();
      const session = answer.headers.location;
      if (session === undefined) throw new TarnError('io', 'the store names no upload');
      return { session, sent: 0 };
    } catch (error) {
      throw gcsFault(error, doing);
    }
  }

  async keepsVersions(signal?: AbortSignal): Promise<boolean | undefined> {
    const path = `/storage/v1/b/${this.#bucket}?${this.#query({ fields: 'versioning' })}`;
    try {
      const doing = this.#named.doing('asking for versioning');
      const { versioning } = await this.#ask<BucketResource>(path, doing, signal);
      return versioning?.enabled === true;
    } catch (error) {
      if (error instanceof TarnError && error.kind === 'denied') return undefined;
      throw error;
    }
  }

  async versionsOf(key: string, signal?: AbortSignal): Promise<readonly BucketObject[]> {
    const fields = `items(${OBJECT_FIELDS})`;
    const path = this.#objects({ prefix: key, versions: 'true', fields });
    const doing = this.#named.doing('listing versions of', key);
    const { items = [] } = await this.#ask<Listing>(path, doing, signal);
    const found = items.map((item) => objectOf(item, true)).filter((item) => item.key === key);
    return found.reverse();
  }

  close(): void {
    this.#http.close();
  }

  async #ask<T>(
    path: string,
    doing: ReturnType<Named['doing']>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    try {
      const answer = await this.#http.send({ method: 'GET', path, signal });
      return await readJson<T>(answer, doing, signal);
    } catch (error) {
      throw gcsFault(error, doing);
    }
  }

  #objects(query: Record<string, string>): string {
    return `/storage/v1/b/${this.#bucket}/o?${this.#query(query)}`;
  }

  #object(key: string, query: Record<string, string> = {}): string {
    const name = encodeURIComponent(key);
    return `/storage/v1/b/${this.#bucket}/o/${name}?${this.#query(query)}`;
  }

  #upload(query: Record<string, string>): string {
    return `/upload/storage/v1/b/${this.#bucket}/o?${this.#query(query)}`;
  }

  #query(query: Record<string, string>): string {
    const billed = this.#billed === undefined ? {} : { userProject: this.#billed };
    return new URLSearchParams({ ...query, ...billed }).toString();
  }
}

interface Listing {
  readonly items?: readonly Resource[];
  readonly prefixes?: readonly string[];
  readonly nextPageToken?: string;
}

interface BucketResource {
  readonly versioning?: { readonly enabled?: boolean };
}

function isDone({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}
