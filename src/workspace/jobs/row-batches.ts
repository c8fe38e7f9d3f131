import type { JobOutput } from './job.js';

const ROWS_MAX = 200;
const WAIT_MS = 50;

/** Gathers the rows of a job into batches; the first goes out at once, none waits for long. */
export class RowBatches<Row> {
  readonly #out: Pick<JobOutput<Row>, 'rows'>;
  #rows: Row[] = [];
  #sentMs = 0;

  constructor(out: Pick<JobOutput<Row>, 'rows'>) {
    this.#out = out;
  }

  add(row: Row): Promise<void> | undefined {
    this.#rows.push(row);
    const isFull = this.#rows.length >= ROWS_MAX || performance.now() - this.#sentMs > WAIT_MS;
    return isFull ? this.flush() : undefined;
  }

  async flush(): Promise<void> {
    const rows = this.#rows;
    if (rows.length === 0) return;
    this.#rows = [];
    await this.#out.rows(rows);
    this.#sentMs = performance.now();
  }
}
