import type { CommitId } from '../model/ids.js';

/** The drawing beside one commit. */
export interface GraphLines {
  /** Above it: how lines ran among commits that are not shown. */
  readonly above: readonly string[];
  /** Beside its first line of text, with `*` for the commit. */
  readonly at: string;
  /** Beside its second, where lines fork or meet; empty when none does. */
  readonly edge: string;
  /** Beside all that follows. */
  readonly below: string;
}

/** Between two columns; a line that begins runs down from its corner, one that meets another is there. */
interface Edge {
  readonly from: number;
  readonly to: number;
  readonly begins: boolean;
}

/**
 * Draws a history as text, a commit at a time, in an order that has each commit before its parents:
 * a column for each line of history, two characters wide, `*` where a commit is.
 *
 *     *     a merge
 *     |\
 *     | *   on the branch
 *     * |   on main
 *     |/
 *     *     where the branch began
 *
 * A column waits for one commit, and no two for the same: a line that comes to a commit that another
 * waits for joins it. A column that became free is taken again. Holds the open lines alone.
 */
export class Graph {
  /** The commit that each column waits for; undefined where the column is free. */
  readonly #columns: (CommitId | undefined)[] = [];
  #above: string[] = [];

  show(id: CommitId, parents: readonly CommitId[]): GraphLines {
    const column = this.#columnOf(id);
    const at = this.#row((index) => (index === column ? '*' : '|'));
    const edge = this.#advance(column, parents);
    const above = this.#above;
    this.#above = [];
    return { above, at, edge, below: this.#row(() => '|') };
  }

  /** A commit that is not shown: its column goes on to its parents. */
  hide(id: CommitId, parents: readonly CommitId[]): undefined {
    const column = this.#columns.indexOf(id);
    // Nothing that is shown leads here.
    if (column < 0) return;
    const edge = this.#advance(column, parents);
    if (edge !== '') this.#above.push(edge);
  }

  /** Where `id` was waited for, or a free column for one that nothing led to. */
  #columnOf(id: CommitId): number {
    const known = this.#columns.indexOf(id);
    if (known >= 0) return known;
    const column = this.#freeColumn(0);
    this.#columns[column] = id;
    return column;
  }

  #freeColumn(from: number): number {
    const free = this.#columns.findIndex((id, index) => index >= from && id === undefined);
    return free < 0 ? Math.max(from, this.#columns.length) : free;
  }

  /** Leads `column` on to `parents`; the row of edges that shows it, empty for a straight line. */
  #advance(column: number, parents: readonly CommitId[]): string {
    const columns = this.#columns;
    columns[column] = undefined;
    const edges: Edge[] = [];
    parents.forEach((parent, number) => {
      const waiting = columns.indexOf(parent);
      if (waiting > column && number === 0) {
        // Lines meet in the left one, so that what everything comes from ends up leftmost.
        columns[waiting] = undefined;
        columns[column] = parent;
        edges.push({ from: waiting, to: column, begins: false });
      } else if (waiting >= 0) {
        edges.push({ from: column, to: waiting, begins: false });
      } else {
        const to = number === 0 ? column : this.#freeColumn(column + 1);
        columns[to] = parent;
        if (to !== column) edges.push({ from: column, to, begins: true });
      }
    });
    while (columns.length > 0 && columns.at(-1) === undefined) columns.pop();
    return edges.length === 0 ? '' : this.#edgeRow(edges);
  }

  #row(mark: (index: number) => string): string {
    return this.#columns
      .map((id, index) => (id === undefined ? ' ' : mark(index)))
      .join(' ')
      .trimEnd();
  }

  #edgeRow(edges: readonly Edge[]): string {
    const width = Math.max(
      this.#columns.length,
      ...edges.map(({ from, to }) => Math.max(from, to) + 1),
    );
    const chars = Array.from({ length: 2 * width }, (_, at): string => {
      if (at % 2 === 1 || this.#columns[at / 2] === undefined) return ' ';
      return edges.some(({ to, begins }) => begins && 2 * to === at) ? ' ' : '|';
    });
    for (const { from, to } of edges) {
      const [low, high] = from < to ? [from, to] : [to, from];
      const corner = 2 * high - 1;
      for (let at = 2 * low + 1; at < corner; at += 1) if (chars[at] === ' ') chars[at] = '-';
      chars[corner] = from < to ? '\\' : '/';
    }
    return chars.join('').trimEnd();
  }
}
