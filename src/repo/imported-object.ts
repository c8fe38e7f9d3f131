import type { ObjectPin } from '../model/entry.js';
import type { ForeignBucket, ForeignPin } from '../store/foreign.js';
import type { ForeignBuckets, ForeignPlace } from '../store/foreign-buckets.js';
import { asTarnError, TarnError } from '../util/errors.js';
import type { ImportedBytes } from './imported-bytes.js';

/** An object of a bucket that the repository only points at. Every request for it names its pin. */
export class ImportedObject implements ImportedBytes {
  readonly url: string;
  readonly isFar = true;
  readonly #place: ForeignPlace;
  readonly #pin: ForeignPin;
  readonly #foreign: ForeignBuckets;

  constructor(
    object: {
      readonly url: string;
      readonly place: ForeignPlace;
      readonly size: number;
      readonly pin: ObjectPin;
    },
    foreign: ForeignBuckets,
  ) {
    const { url, place, size, pin } = object;
    const { etag, version } = pin;
    this.url = url;
    this.#place = place;
    this.#pin = { key: place.key, size, etag, ...(version === undefined ? {} : { version }) };
    this.#foreign = foreign;
  }

  async read(
    start: number,
    end: number,
    _mustBePinned: boolean,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    return (await this.#bucket()).read(this.#pin, start, end, signal);
  }

  async check(signal?: AbortSignal): Promise<void> {
    return (await this.#bucket()).check(this.#pin, signal);
  }

  async difference(start: number, end: number): Promise<TarnError> {
    try {
      await this.check();
    } catch (error) {
      return asTarnError(error);
    }
    const { key } = this.#place;
    const { url } = await this.#bucket();
    return new TarnError(
      'corrupt',
      `the imported object '${key}' in '${url}' gives other bytes ${start} to ${end - 1} than were recorded, though its ETag is the same`,
      { hint: "import it again with 'tarn import --verify'" },
    );
  }

  #bucket(): Promise<ForeignBucket> {
    const { bucket, key } = this.#place;
    return this.#foreign.bucket(bucket, key);
  }
}
