import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { TarnError } from '../../util/errors.js';
import type { BucketParts, BucketTag } from '../bucket/bucket.js';
import type { Doing } from '../bucket/faults.js';
import { missingFault, placeOf } from '../bucket/faults.js';
import { gcsFault, readJson } from './answers.js';
import type { GcsHttp } from './http.js';
import type { LeftSession, LeftUpload } from './left-session.js';
import type { Resource } from './resource.js';

/** A multiple of 256 KiB, as resumable uploads want it. */
const PART_BYTES = 16_777_216;
const MORE = 308;
/** The session has ended: it is gone, or somebody has given it up. */
const ENDED: readonly (number | undefined)[] = [410, 499];

interface Part {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** The object that the parts make. */
export interface Target {
  /** Bytes. */
  readonly size: number;
  readonly doing: Doing;
  /** Where this machine keeps the session, if it does. */
  readonly left: LeftUpload | undefined;
  /** Deletes what was made. */
  readonly takeBack: (generation: string, signal?: AbortSignal) => Promise<void>;
}

/** A resumable upload: its parts go one after the other, and the last one makes the object. */
export class GcsParts implements BucketParts {
  readonly partBytes = PART_BYTES;
  readonly atOnce = 1;
  readonly isResumable: boolean;
  readonly #http: GcsHttp;
  readonly #session: string;
  readonly #to: Target;
  #sent: number;
  /** Of all parts so far, where an earlier process sent some of them. */
  readonly #hash: Hash | undefined;
  #hashed = 0;
  #last: Part | undefined;

  constructor(http: GcsHttp, { session, sent }: LeftSession, to: Target) {
    this.#http = http;
    this.#session = session;
    this.#sent = sent;
    this.#hash = sent > 0 ? createHash('md5') : undefined;
    this.#to = to;
    this.isResumable = to.left !== undefined;
  }

  async put(index: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const part = { start: index * PART_BYTES, bytes };
    const end = part.start + bytes.length;
    // Also one that is tried again is hashed once.
    if (part.start === this.#hashed) {
      this.#hash?.update(bytes);
      this.#hashed = end;
    }
    // The object is there as soon as the last part is, which is for complete to send.
    if (end === this.#to.size) this.#last = part;
    else if (end > this.#sent) {
      await this.#send(part, signal);
      this.#sent = end;
      await this.#to.left?.keep({ session: this.#session, sent: end });
    }
  }

  async complete(signal?: AbortSignal): Promise<BucketTag> {
    if (this.#last === undefined) throw new TarnError('internal', 'the last part is missing');
    const made = await this.#send(this.#last, signal);
    if (made?.generation === undefined) {
      throw new TarnError('io', `the store did not take all parts of ${placeOf(this.#to.doing)}`);
    }
    await this.#to.left?.forget();
    if (!this.#isSame(made)) {
      await this.#to.takeBack(made.generation, signal);
      throw new TarnError(
        'io',
        `the store has put together other bytes than were sent as ${placeOf(this.#to.doing)}`,
        {
          hint: 'put the file again: all of it is sent anew',
        },
      );
    }
    return { etag: made.generation };
  }

  async abort(): Promise<void> {
    await this.#to.left?.forget();
    try {
      const request = { method: 'DELETE', path: this.#session, signal: undefined } as const;
      (await this.#http.send(request)).resume();
    } catch (error) {
      throw gcsFault(error, this.#to.doing);
    }
  }

  #isSame({ size, md5Hash }: Resource): boolean {
    if (Number(size) !== this.#to.size) return false;
    if (this.#hash === undefined || md5Hash === undefined) return true;
    return md5Hash === this.#hash.digest('base64');
  }

  /** What the store says of the object; undefined while it waits for more. */
  async #send(
    { start, bytes }: Part,
    signal: AbortSignal | undefined,
  ): Promise<Resource | undefined> {
    const { size, doing } = this.#to;
    const range = `bytes ${start}-${start + bytes.length - 1}/${size}`;
    const headers = { 'content-range': range };
    try {
      const request = { method: 'PUT', path: this.#session, headers, body: bytes, signal } as const;
      const answer = await this.#http.send(request);
      if (ENDED.includes(answer.statusCode)) {
        answer.resume();
        throw missingFault(doing);
      }
      if (answer.statusCode !== MORE) return await readJson<Resource>(answer, doing, signal);
      answer.resume();
      const { range: kept = '' } = answer.headers as { range?: string };
      // More where another process goes on with the same upload.
      if (Number(/^bytes=0-(\d+)$/.exec(kept)?.[1]) >= start + bytes.length - 1) return undefined;
      throw new TarnError('io', `the store has kept '${kept}' of an upload`);
    } catch (error) {
      throw gcsFault(error, doing);
    }
  }
}
