import { createHash } from 'node:crypto';
import type { RecordedChange, RecordKind, RefChange, RefMoment, RefTarget } from '../ref-store.js';
import type { DurableDatabase } from './durable-database.js';

/** The values of a change, of whichever kind. */
export type ChangeValues = RefChange<RecordKind> & { readonly renamed?: string };

interface ChangeRow {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly expected: string | null;
  readonly next: string | null;
  readonly renamed: string | null;
  readonly changed_by: string;
  readonly at_ms: number;
  readonly why: string;
  readonly checksum: string;
}

/**
 * The table of changes in the ref database. Of one ref, times never fall as numbers rise: what is
 * newest by its number is so by its time too. Callers hold the transaction.
 */
export class RefChanges {
  readonly #database: DurableDatabase;
  readonly #append;
  readonly #lastMs;
  readonly #page;
  readonly #after;

  constructor(database: DurableDatabase) {
    this.#database = database;
    this.#append = database.prepare<(string | number | null)[]>(
      `INSERT INTO changes
         (kind, name, expected, next, renamed, changed_by, at_ms, why, checksum)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#lastMs = database.prepare<[string], { ms: number | null }>(
      `SELECT max(at_ms) AS ms FROM changes
       WHERE kind IN ('branch', 'tag', 'settings') AND name = ?`,
    );
    const ofRef = 'SELECT * FROM changes WHERE kind = ? AND name = ? AND';
    this.#page = database.prepare<[string, string, number, number, number], ChangeRow>(
      `${ofRef} at_ms <= ? AND id < ? ORDER BY at_ms DESC, id DESC LIMIT ?`,
    );
    this.#after = database.prepare<[string, string, number, number], ChangeRow>(
      `${ofRef} at_ms >= ? AND id > ? ORDER BY at_ms, id LIMIT 1`,
    );
  }

  /** @param lastMs not recorded as earlier than this */
  append(change: ChangeValues, lastMs: number): void {
    const { kind, name, expected, next, renamed, by, why } = change;
    const atMs = Math.max(change.atMs, lastMs);
    const row = [kind, name, expected ?? null, next ?? null, renamed ?? null, by, atMs, why];
    this.#append.run(...row, checksum(row));
  }

  /** When what has the name last changed; before all time where it never did. */
  lastMs(name: string): number {
    return this.#lastMs.get(name)?.ms ?? -Infinity;
  }

  /** Newest first: no later than `before` and of lower numbers. */
  page<K extends RecordKind>(
    kind: K,
    name: string,
    before: { readonly atMs: number; readonly number: number },
    limit: number,
  ): RecordedChange<K>[] {
    const rows = this.#page.all(kind, name, before.atMs, before.number, limit);
    return rows.map((row) => this.#changeOf<K>(row));
  }

  at<K extends RecordKind>(kind: K, name: string, atMs: number): RefMoment<K> {
    let gone: RefMoment<K> | undefined;
    let number = Number.MAX_SAFE_INTEGER;
    for (let known = name; ;) {
      const [change] = this.page(kind, known, { atMs, number }, 1);
      if (change?.next !== undefined) return { kind: 'at', target: change.next };
      if (change !== undefined) gone ??= { kind: 'gone', change };
      const then = this.#after.get(kind, known, change?.atMs ?? -Infinity, change?.number ?? 0);
      const next = then === undefined || then.id >= number ? undefined : this.#changeOf<K>(then);
      if (next?.next === undefined || next.renamed === undefined) {
        return gone ?? { kind: 'unrecorded', first: next };
      }
      known = next.renamed;
      number = next.number;
    }
  }

  #changeOf<K extends RecordKind>(row: ChangeRow): RecordedChange<K> {
    const { kind, name, expected, next, renamed, changed_by, at_ms, why } = row;
    const values = [kind, name, expected, next, renamed, changed_by, at_ms, why];
    if (row.checksum !== checksum(values)) {
      throw this.#database.damaged(
        `its record of change ${row.id}, of '${name}', does not match its checksum`,
      );
    }
    return {
      number: row.id,
      kind: kind as K,
      name,
      expected: (expected ?? undefined) as RefTarget<K> | undefined,
      next: (next ?? undefined) as RefTarget<K> | undefined,
      ...(renamed === null ? {} : { renamed }),
      by: changed_by,
      atMs: at_ms,
      why,
    };
  }
}

function checksum(values: readonly (string | number | null)[]): string {
  return createHash('sha256').update(JSON.stringify(values)).digest('hex').slice(0, 16);
}
