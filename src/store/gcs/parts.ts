import { TarnError } from '../../util/errors.js';
import type { BucketParts, BucketTag } from '../bucket/bucket.js';
import type { Doing } from '../bucket/faults.js';
import { gcsFault, readJson } from './answers.js';
import type { GcsHttp } from './http.js';
import type { Resource } from './resource.js';

/** A multiple of 256 KiB, as resumable uploads want it. */
const PART_BYTES = 16_777_216;
const MORE = 308;

/** A resumable upload: its parts go one after the other, and the last one makes the object. */
export class GcsParts implements BucketParts {
  readonly partBytes = PART_BYTES;
  readonly atOnce = 1;
  /** Nobody but this process knows its session. */
  readonly isResumable = false;
  readonly #http: GcsHttp;
  readonly #session: string;
  readonly #size: number;
  readonly #doing: Doing;
  #last: { readonly start: number; readonly bytes: Uint8Array } | undefined;

  constructor(http: GcsHttp, session: string, size: number, doing: Doing) {
    this.#http = http;
    this.#session = session;
    this.#size = size;
    this.#doing = doing;
  }

  async put(index: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const part = { start: index * PART_BYTES, bytes };
    // The object is there as soon as the last part is, which is for complete to send.
    if (part.start + bytes.length === this.#size) this.#last = part;
    else await this.#send(part, signal);
  }

  async complete(signal?: AbortSignal): Promise<BucketTag> {
    if (this.#last === undefined) throw new TarnError('internal', 'the last part is missing');
    const { generation } = (await this.#send(this.#last, signal)) ?? {};
    if (generation !== undefined) return { etag: generation };
    throw new TarnError('io', `the store did not take all parts of '${this.#doing.key ?? ''}'`);
  }

  async abort(): Promise<void> {
    try {
      const request = { method: 'DELETE', path: this.#session, signal: undefined } as const;
      (await this.#http.send(request)).resume();
    } catch (error) {
      throw gcsFault(error, this.#doing);
    }
  }

  /** What the store says of the object; undefined while it waits for more. */
  async #send(
    { start, bytes }: { readonly start: number; readonly bytes: Uint8Array },
    signal: AbortSignal | undefined,
  ): Promise<Resource | undefined> {
    const range = `bytes ${start}-${start + bytes.length - 1}/${this.#size}`;
    const headers = { 'content-range': range };
    try {
      const request = { method: 'PUT', path: this.#session, headers, body: bytes, signal } as const;
      const answer = await this.#http.send(request);
      if (answer.statusCode !== MORE) return await readJson<Resource>(answer, this.#doing, signal);
      answer.resume();
      const { range: kept = '' } = answer.headers as { range?: string };
      if (kept === `bytes=0-${start + bytes.length - 1}`) return undefined;
      throw new TarnError('io', `the store has kept '${kept}' of an upload`);
    } catch (error) {
      throw gcsFault(error, this.#doing);
    }
  }
}
