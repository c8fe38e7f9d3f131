import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyFromBytes, keyFromText, type Key } from '../../src/model/path.js';
import type { ContentId } from '../../src/model/ids.js';
import { checkpointJournal, Journal } from '../../src/overlay/journal/journal.js';
import type { NameRow, NodeRow } from '../../src/overlay/journal/rows.js';
import type { NodeState, StoredBytes } from '../../src/overlay/nodes.js';
import type { RequestId } from '../../src/vfs/writable.js';

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

/** Names of the files of the log, in order. */
function logParts(): string[] {
  return readdirSync(folder)
    .filter((found) => found.startsWith('journal.db-log-'))
    .sort();
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
      directoryDate: undefined,
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

  it('goes on where the process before it ended', () => {
    opened((journal) => journal.write({ putNodes: [file(1)] }));
    opened((journal) => journal.write({ putNodes: [file(2)] }));
    checkpointJournal(path, 1);
    opened((journal) => journal.write({ putNodes: [file(3)] }));
    expect(opened((journal) => journal.read().nodes)).toEqual([file(1), file(2), file(3)]);
  });

  it('remembers the date of directories, and what came of the last requests', () => {
    const directoryDate = { sec: 10, nsec: 5 };
    const request = 'mount.7' as RequestId;
    opened((journal) => {
      journal.write({ directoryDate, outcome: { request, inode: 1001, place: 3 } });
      journal.write({ outcome: { request: 'mount.8' as RequestId, inode: 0, place: 3 + 1024 } });
    });
    const outcomes = new Map([['mount.8', 0]]);
    expect(opened((journal) => journal.read())).toMatchObject({ directoryDate, outcomes });
    checkpointJournal(path, 2);
    expect(opened((journal) => journal.read())).toMatchObject({ directoryDate, outcomes });
  });

  it('has its log brought into its database by another while it is written', async () => {
    let journal: Journal | undefined;
    await new Promise<void>((resolve) => {
      journal = new Journal(path, async (of, before) => {
        journal?.write({ putNames: [name(1, 'a' as Key, 1001)] });
        checkpointJournal(of, before);
        await journal?.sync();
        resolve();
      });
      const target = 'x'.repeat(500) as Key;
      for (let row = 1; row <= 1000; row += 1) {
        const nodes = Array.from({ length: 8 }, (_, i) => file(8 * row + i, { target }));
        journal.write({ putNodes: nodes });
      }
    });
    journal?.close();
    expect(logParts().length).toBe(1);
    const { nodes, names } = opened((other) => other.read());
    expect(nodes.length).toBe(8000);
    expect(names).toEqual([name(1, 'a' as Key, 1001)]);
  });

  it('keeps a log that could not be brought into the database, and brings it in later', () => {
    opened((journal) => journal.write({ putNodes: [file(1)] }));
    const database = new Database(path);
    database.exec('ALTER TABLE nodes RENAME TO gone');
    expect(() => checkpointJournal(path, 1)).toThrow();
    database.exec('ALTER TABLE gone RENAME TO nodes');
    database.close();
    checkpointJournal(path, 1);
    expect(logParts()).toEqual([]);
    expect(opened((journal) => journal.read().nodes)).toEqual([file(1)]);
  });

  it('does not take a change twice when the process ended before its log was removed', () => {
    opened((journal) => journal.write({ putNodes: [file(1)] }));
    const [part] = logParts();
    const bytes = readFileSync(join(folder, part as string));
    checkpointJournal(path, 1);
    opened((journal) => journal.write({ dropNodes: [1] }));
    writeFileSync(join(folder, part as string), bytes);
    expect(opened((journal) => journal.read().nodes)).toEqual([]);
  });

  describe('after the end of a process or a power cut', () => {
    function written(...rows: number[]): string {
      opened((journal) => {
        for (const row of rows) journal.write({ putNodes: [file(row)] });
      });
      return join(folder, logParts().at(-1) as string);
    }
    const rows = (): number[] => opened((journal) => journal.read().nodes.map(({ row }) => row));

    it('lets go of a change that was not whole, and goes on behind the one before', () => {
      const part = written(1, 2);
      truncateSync(part, statSync(part).size - 1);
      expect(rows()).toEqual([1]);
      written(3);
      expect(rows()).toEqual([1, 3]);
    });

    it('ends where bytes never reached the disk, and forgets what came after it', () => {
      const part = written(1, 2, 3);
      const second = readFileSync(part, 'utf8').indexOf('\n') + 1;
      const fd = openSync(part, 'r+');
      writeSync(fd, Buffer.alloc(40), 0, 40, second);
      closeSync(fd);
      written(4);
      expect(rows()).toEqual([1, 4]);
    });

    it('forgets a part whose predecessor never reached the disk', () => {
      const first = written(1);
      written(2);
      rmSync(first);
      expect(rows()).toEqual([]);
      written(5);
      expect(rows()).toEqual([5]);
    });

    it('refuses a log in which a byte was changed', () => {
      const part = written(1, 2);
      const text = readFileSync(part, 'utf8');
      writeFileSync(part, text.replace('1001', '1007'));
      expect(rows).toThrow(/change 0 is not as it was written/);
    });
  });

  it.each(['nodes SET kind = replace(kind, "file", "fifo")', 'names SET version = version + 1'])(
    'refuses a row that was changed by others: %s',
    (damage) => {
      opened((journal) =>
        journal.write({ putNodes: [file(1)], putNames: [name(1, 'a' as Key, 1001)] }),
      );
      checkpointJournal(path, 1);
      const database = new Database(path);
      database.exec(`UPDATE ${damage.replaceAll('"', "'")}`);
      database.close();
      expect(() => opened((journal) => journal.read())).toThrow(/does not match its checksum/);
    },
  );
});
