const [LINE_END, HEAD_END] = ['\r\n', '\r\n\r\n'];

/** Gathers one answer of HTTP/1.1 as it comes, of a stated length or in chunks. */
export class HttpAnswer {
  readonly #body: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #next: 'head' | 'body' | 'chunk size' | 'chunk' | 'end' = 'head';
  /** Bytes of the body, or of the chunk that comes next. */
  #length = 0;

  /** The body, once it is whole. */
  take(received: Buffer): string | undefined {
    this.#rest = this.#rest.length === 0 ? received : Buffer.concat([this.#rest, received]);
    while (this.#step());
    return this.#next === 'end' ? Buffer.concat(this.#body).toString('utf8') : undefined;
  }

  /** False when more has to come first. */
  #step(): boolean {
    switch (this.#next) {
      case 'head':
        return this.#begin(this.#line(HEAD_END));
      case 'chunk size':
        return this.#beginChunk(this.#line(LINE_END));
      case 'body':
      case 'chunk':
        return this.#fill();
      case 'end':
        return false;
    }
  }

  #begin(head: string | undefined): boolean {
    if (head === undefined) return false;
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    this.#next = length === undefined ? 'chunk size' : 'body';
    this.#length = Number(length ?? 0);
    return true;
  }

  /** The last chunk is empty. */
  #beginChunk(size: string | undefined): boolean {
    if (size === undefined) return false;
    this.#length = Number.parseInt(size, 16);
    this.#next = 'chunk';
    return true;
  }

  #fill(): boolean {
    const [length, end] = [this.#length, this.#next === 'chunk' ? LINE_END.length : 0];
    if (this.#rest.length < length + end) return false;
    this.#body.push(this.#rest.subarray(0, length));
    this.#rest = this.#rest.subarray(length + end);
    this.#next = this.#next === 'chunk' && length > 0 ? 'chunk size' : 'end';
    return true;
  }

  #line(end: string): string | undefined {
    const at = this.#rest.indexOf(end);
    if (at < 0) return undefined;
    const line = this.#rest.toString('latin1', 0, at);
    this.#rest = this.#rest.subarray(at + end.length);
    return line;
  }
}
