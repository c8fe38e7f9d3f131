import { once } from 'node:events';
import type { WireError } from '../daemon/protocol.js';
import { escapeControls } from '../util/printable.js';

/** Lines are gathered into writes of about this many characters. */
const BATCH_CHARS = 65_536;
/** Controls in text of several lines. */
const LINES = /(?!\n)\p{Cc}/gu;

/** Where a command prints: results to stdout, all that is said about them to stderr. */
export class Terminal {
  readonly json: boolean;
  readonly #out: NodeJS.WriteStream;
  readonly #err: NodeJS.WriteStream;
  #batch = '';
  #idle: NodeJS.Immediate | undefined;
  #status = false;

  constructor(json: boolean, out = process.stdout, err = process.stderr) {
    this.json = json;
    this.#out = out;
    this.#err = err;
    // A reader that has seen enough (`tarn log | head`) is no failure of ours.
    out.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
    err.on('error', () => undefined);
  }

  /** One line of a list: `value` as JSON, or `text` for a person. */
  row(value: unknown, text: () => string): Promise<void> | void {
    this.#batch += `${this.json ? JSON.stringify(value) : text()}\n`;
    if (this.#batch.length >= BATCH_CHARS) return this.flush();
    // Rows that come slowly are shown as they come.
    if (this.#idle === undefined) {
      this.#idle = setImmediate(() => {
        this.#idle = undefined;
        void this.flush();
      });
    }
  }

  /** The one document of a command that prints no list; nothing when `text` is empty. */
  result(value: unknown, text: string): Promise<void> | void {
    if (this.json || text !== '') return this.row(value, () => text);
  }

  async bytes(bytes: Uint8Array): Promise<void> {
    await this.flush();
    await this.#write(bytes);
  }

  async flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = '';
    if (batch !== '') await this.#write(batch);
  }

  /** For a person, not part of the result. */
  note(text: string): void {
    if (this.json) return;
    this.clearStatus();
    this.#err.write(`${this.#told(text)}\n`);
  }

  /** A line that the next one replaces; only where a person watches. */
  status(text: string): void {
    if (this.json || !this.#err.isTTY) return;
    this.#status = true;
    const line = escapeControls(text).slice(0, (this.#err.columns ?? 80) - 1);
    this.#err.write(`\r\x1b[K${line}`);
  }

  clearStatus(): void {
    if (this.#status) this.#err.write('\r\x1b[K');
    this.#status = false;
  }

  error(error: WireError): void {
    this.clearStatus();
    if (this.json) {
      this.#err.write(`${JSON.stringify({ error })}\n`);
      return;
    }
    this.#err.write(`tarn: ${this.#told(error.message)}\n`);
    if (error.hint !== undefined) this.#err.write(`hint: ${this.#told(error.hint)}\n`);
  }

  /** A name or text of a user's, made harmless where it would steer the terminal. */
  name(text: string): string {
    return this.#out.isTTY ? escapeControls(text) : text;
  }

  /** Like name for several lines. */
  text(text: string): string {
    return this.#out.isTTY ? escapeControls(text, LINES) : text;
  }

  /** @returns undefined where nobody can be asked */
  async confirm(question: string): Promise<boolean | undefined> {
    if (this.json || !process.stdin.isTTY || !this.#err.isTTY) return undefined;
    const { createInterface } = await import('node:readline/promises');
    const reader = createInterface({ input: process.stdin, output: this.#err });
    try {
      return /^y(es)?$/i.test((await reader.question(`${question} [y/N] `)).trim());
    } finally {
      reader.close();
    }
  }

  /** Like text, for what goes to stderr: names of files stand in it. */
  #told(text: string): string {
    return this.#err.isTTY ? escapeControls(text, LINES) : text;
  }

  async #write(data: Uint8Array | string): Promise<void> {
    if (!this.#out.write(data)) await once(this.#out, 'drain');
  }
}
