import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { MountArguments } from './protocol.js';

/** What is remembered of a mount, so that the next daemon can make it again. */
export interface RecordedMount extends MountArguments {
  /** What it showed when it was made: one that stays at a commit comes back at that. */
  readonly commit?: string;
}

/** The mounts of a home's daemon, in a file beside its socket. */
export class MountRecord {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  read(): RecordedMount[] {
    try {
      const parsed: unknown = JSON.parse(readFileSync(this.#file, 'utf8'));
      return Array.isArray(parsed) ? parsed.filter(isRecord) : [];
    } catch {
      // Missing at the first start; a damaged one only means that no mount is known to be ours.
      return [];
    }
  }

  /** @throws where the disk is full or the folder is gone */
  write(mounts: readonly RecordedMount[]): void {
    const temporary = `${this.#file}.new`;
    writeFileSync(temporary, JSON.stringify(mounts), { mode: 0o600 });
    renameSync(temporary, this.#file);
  }

  /** For a mount that was taken away while no daemon runs, so that it does not come back. */
  forget(directory: string): void {
    const before = this.read();
    const after = before.filter((mount) => mount.directory !== directory);
    if (after.length < before.length) this.write(after);
  }
}

function isRecord(value: unknown): value is RecordedMount {
  if (typeof value !== 'object' || value === null) return false;
  return 'directory' in value && typeof value.directory === 'string';
}
