import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { asTarnError } from '../util/errors.js';

export type LogLevel = 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** The file that is written, and once more as much in the one before it (`.1`). */
const LOG_BYTES_MAX = 8 * 1_048_576;

/** The daemon's log: one JSON object a line with `time`, `level`, `event` and the event's fields. */
export class Log {
  readonly path: string;
  #fd: number;
  #bytes: number;

  constructor(path: string) {
    this.path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#fd = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  info(event: string, fields: LogFields = {}): void {
    this.#write('info', event, fields);
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#write('warn', event, fields);
  }

  /** A fault: its kind, message and where it was thrown. */
  fault(event: string, error: unknown, fields: LogFields = {}): void {
    const fault = asTarnError(error);
    const { kind, message, stack } = fault;
    this.#write('error', event, { ...fields, kind, message, stack });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(level: LogLevel, event: string, fields: LogFields): void {
    const time = new Date().toISOString();
    const line = Buffer.from(`${JSON.stringify({ time, level, event, ...fields })}\n`);
    if (this.#bytes + line.length > LOG_BYTES_MAX) this.#rotate();
    try {
      writeSync(this.#fd, line);
      this.#bytes += line.length;
    } catch {
      // A full disk must not stop the daemon from serving what it has.
    }
  }

  #rotate(): void {
    try {
      renameSync(this.path, `${this.path}.1`);
      const fd = openSync(this.path, 'a', 0o600);
      closeSync(this.#fd);
      this.#fd = fd;
    } catch {
      // Without rotation the log grows on in the file it has.
    }
    this.#bytes = 0;
  }
}
