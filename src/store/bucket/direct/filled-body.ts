import { Readable } from 'node:stream';

/** The body of an answer, for whoever expects a stream: nothing comes of it, since the bytes are there. */
export class FilledBody extends Readable {
  /** Fewer than were announced where the connection ended before. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.bytes = bytes;
  }

  override _read(): void {
    this.push(null);
  }
}
