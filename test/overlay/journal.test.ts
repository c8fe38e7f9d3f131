import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyFromBytes, keyFromText, type Key } from '../../src/model/path.js';
import type { ContentId } from '../../src/model/ids.js';
import { checkpointJournal, Journal } from '../../src/overlay/journal.js';
import type { NameRow, NodeRow } from '../../src/overlay/journal-rows.js';
import type { NodeState, StoredBytes } from '../../src/overlay/nodes.js';

const AT = { sec: -5, nsec: 999_999_999 };
const STATE: NodeState = { version: 1, mode: 0o644, mtime: AT, atime: AT, ctime: AT };

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tarn-journal-'));
  path = join(folder, 'journal.db');
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function opened<T>(use: (journal: Journal) => T): T {
  const journal = new Journal(path);
  try {
    return use(journal);
  } finally {
    journal.close();
  }
}

function file(row: number, state: Partial<NodeState> = {}): NodeRow {
  return { row, inode: 1000 + row, kind: 'file', state: { ...STATE, ...state } };
}

function name(row: number, key: Key, node: number | undefined): NameRow {
  return { row, directory: 1, name: key, node, version: row };
}

describe('the journal of a workspace', () => {
  it('gives back what was written, whatever bytes names and attributes have', () => {
    const raw = keyFromBytes(Buffer.from([0xff, 0x00, 0x5c, 0x22, 0x0a]));
    const beneath = {
      kind: 'file' as const,
      size: 7,
      content: 'c'.repeat(64) as ContentId,
      address: { kind: 'whole' as const },
      mode: 0o600,
      mtimeSec: 1,
      mtimeNsec: 2,
    };
    const nodes = [
      file(1, { xattrs: new Map([[raw, new Uint8Array([0, 255, 1])]]), uid: 7, gid: 0 }),
      file(2, { isStaged: true, beneath, origin: { key: raw, entry: beneath } }),
      { ...file(3), kind: 'symlink' as const, state: { ...STATE, target: raw } },
    ];
    const names = [name(1, raw, 1001), name(2, keyFromText('a~file'), undefined)];
    const numbers = [
      { path: raw, number: 2 ** 52 - 1, numbering: undefined },
      { path: keyFromText('labels/'), number: undefined, numbering: raw },
    ];
    const stored: StoredBytes = {
      stamp: { size: 7, mtimeSec: 1, mtimeNsec: 2, ctimeSec: 3, ctimeNsec: 4 },
      entry: beneath,
    };
    opened((journal) =>
      journal.write({
        putNodes: nodes,
        putNames: names,
        putNumbers: numbers,
        putStored: [{ inode: 1002, stored }],
      }),
    );
    const found = opened((journal) => journal.read());
    expect(found.nodes.map(({ state }) => state.xattrs?.get(raw)?.length)).toEqual([
      3,
      undefined,
      undefined,
    ]);
    expect({ ...found, nodes: found.nodes.slice(1) }).toEqual({
      nodes: nodes.slice(1),
      outcomes: new Map(),
      names,
      numbers: expect.arrayContaining(numbers) as unknown,
      stored: [{ inode: 1002, stored }],
    });
  });

  it('replaces, drops and clears rows', () => {
    opened((journal) => {
      journal.write({ putNodes: [file(1), file(2)], putNames: [name(1, 'a' as Key, 1001)] });
      journal.write({ putNodes: [file(1, { mode: 0o600 })], dropNodes: [2], dropNames: [1] });
      const { nodes, names } = journal.read();
      expect(nodes).toEqual([file(1, { mode: 0o600 })]);
      expect(names).toEqual([]);
      journal.write({ clears: true, putNodes: [file(3)] });
      expect(journal.read().nodes).toEqual([file(3)]);
    });
  });

  it('has what was written after the process ends without closing it', () => {
    const journal = new Journal(path);
    journal.write({ putNodes: [file(1)] });
    expect(opened((other) => other.read().nodes)).toEqual([file(1)]);
    journal.close();
  });

  it('syncs its log', async () => {
    const journal = new Journal(path);
    try {
      journal.write({ putNodes: [file(1)] });
      await journal.sync();
      expect(existsSync(`${path}-wal`)).toBe(true);
    } finally {
      journal.close();
    }
  });

  it('has its log brought into its file by another while it is written', async () => {
    const asked: string[] = [];
    const done = new Promise<void>((resolve) => {
      const journal = new Journal(path, async (of) => {
        asked.push(of);
        checkpointJournal(of);
        resolve();
      });
      const rows = Array.from({ length: 5000 }, (_, i) => file(i + 1));
      journal.write({ putNodes: rows });
      journal.write({ putNames: [name(1, 'a' as Key, 1001)] });
      journal.close();
    });
    await done;
    expect(asked).toEqual([path]);
    expect(opened((journal) => journal.read().nodes.length)).toBe(5000);
  });

  it('remembers the date of directories from its first opening', () => {
    const first = { sec: 10, nsec: 5 };
    expect(opened((journal) => journal.directoryDate(first))).toEqual(first);
    expect(opened((journal) => journal.directoryDate({ sec: 99, nsec: 0 }))).toEqual(first);
  });

  it.each(['nodes SET kind = replace(kind, "file", "fifo")', 'names SET version = version + 1'])(
    'refuses a row that was changed by others: %s',
    (damage) => {
      opened((journal) =>
        journal.write({ putNodes: [file(1)], putNames: [name(1, 'a' as Key, 1001)] }),
      );
      const database = new Database(path);
      database.exec(`UPDATE ${damage.replaceAll('"', "'")}`);
      database.close();
      expect(() => opened((journal) => journal.read())).toThrow(/does not match its checksum/);
    },
  );
});
