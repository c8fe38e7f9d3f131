import { hash as hashOnce } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { NodeId } from '../../model/ids.js';
import { parseHash } from '../../model/ids.js';
import { canonicalJson } from '../../util/canonical-json.js';
import { asTarnError } from '../../util/errors.js';
import type { Home } from '../home.js';
import type { ImportObjectsInput } from './import.js';
import type { ObjectCounts } from './import-objects.js';

/** How far a listing came: what was found is in a durable tree, which nothing else names yet. */
export interface Listed {
  readonly tree: NodeId;
  /** Key of the last object. */
  readonly after: string;
  readonly counts: ObjectCounts;
  readonly atMs: number;
}

const VERSION = 1;
/** What was listed longer ago is listed anew. */
const KEPT_MS_MAX = 7 * 86_400_000;

/**
 * A file beside what is staged that keeps how far an import came, for the same import to go on from:
 * the same source, branch, path and patterns. What cannot be read is as good as none.
 */
export class ListedFile {
  readonly #path: string;

  constructor(home: Home, input: ImportObjectsInput) {
    const { repository, branch, source, prefix, include, exclude, isVerified } = input;
    const { bytesMin, bytesMax, sinceMs, untilMs } = input;
    const limits = [bytesMin, bytesMax, sinceMs, untilMs].map((limit) => limit ?? 'any');
    const patterns = [[...include], [...exclude]];
    const which = canonicalJson([branch, source, prefix, ...patterns, limits, isVerified]);
    const name = `${hashOnce('sha256', which).slice(0, 32)}.json`;
    this.#path = join(home.importsFolder(repository), name);
  }

  load(): Listed | undefined {
    try {
      const found = JSON.parse(readFileSync(this.#path, 'utf8')) as { version: number } & Listed;
      const isFresh = Date.now() - found.atMs < KEPT_MS_MAX;
      if (found.version !== VERSION || !isFresh) return undefined;
      parseHash(found.tree, 'the tree of an import');
      return found;
    } catch {
      return undefined;
    }
  }

  /** Durable when it returns. @throws TarnError no-space, denied, io */
  save(listed: Listed): void {
    const temporary = `${this.#path}.new`;
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      const fd = openSync(temporary, 'w', 0o600);
      try {
        writeSync(fd, JSON.stringify({ version: VERSION, ...listed }));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, this.#path);
    } catch (error) {
      throw asTarnError(error, 'keeping how far an import came');
    }
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}
