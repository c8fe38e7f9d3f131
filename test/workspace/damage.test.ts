import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ensureBuilt } from './built.js';
import { key, Sandbox } from './sandbox.js';

const KINDS = ['trees', 'commits', 'packs', 'files', 'manifests'] as const;
type Kind = (typeof KINDS)[number];

/** Reading a repository of which one object was damaged fails, and names that object. */
describe('a repository of which an object was damaged', () => {
  let sandbox: Sandbox;
  beforeAll(ensureBuilt);
  beforeEach(async () => {
    sandbox = await Sandbox.make();
    const source = join(sandbox.directory, 'source');
    mkdirSync(source);
    for (let i = 0; i < 5; i += 1) writeFileSync(join(source, `label-${i}`), randomBytes(5_000));
    writeFileSync(join(source, 'run.mcap'), randomBytes(3_000_000));
    await sandbox.threads.run('put', {
      ...sandbox.target,
      sources: [source],
      prefix: key(''),
      recursive: true,
    });
    await sandbox.threads.run('commit', { ...sandbox.target, message: 'm', author: 'rosa' });
  });
  afterEach(() => sandbox.remove());

  /** The object of that kind that main's last commit needs. */
  async function objectOf(kind: Kind): Promise<string> {
    const repository = await sandbox.repository();
    const { commitId, commit } = await repository.resolve('main');
    const directory = join(sandbox.storage, kind);
    const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(directory, name))
      .filter((path) => statSync(path).isFile());
    const wanted = kind === 'trees' ? commit.tree : kind === 'commits' ? commitId : undefined;
    const [found] = files.filter((path) => wanted === undefined || basename(path) === wanted);
    if (found === undefined) throw new Error(`there is no object of kind ${kind}`);
    return found;
  }

  async function readEverything(): Promise<number> {
    const repository = await sandbox.repository();
    const { commitId } = await repository.resolve('main@');
    const view = await repository.commitView('main@', commitId);
    const cursor = view.cursor();
    let bytes = 0;
    for (let ok = await cursor.seek(key('')); ok; ok = await cursor.next()) {
      const content = await view.open(cursor.key, cursor.entry());
      try {
        bytes += (await content.read(0, content.size)).length;
      } finally {
        content.close();
      }
    }
    return bytes;
  }

  function flipBit(path: string): void {
    const fd = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    const at = statSync(path).size >> 1;
    readSync(fd, byte, 0, 1, at);
    byte[0] = (byte[0] as number) ^ 0x10;
    writeSync(fd, byte, 0, 1, at);
    closeSync(fd);
  }

  const DAMAGES: [string, (path: string) => void, string[]][] = [
    ['a flipped bit', flipBit, ['corrupt']],
    ['half of it cut off', (path) => truncateSync(path, statSync(path).size >> 1), ['corrupt']],
    ['all of it cut off', (path) => truncateSync(path, 0), ['corrupt']],
    ['it missing', (path) => rmSync(path), ['corrupt', 'not-found']],
  ];

  it.each(
    KINDS.flatMap((kind) => DAMAGES.map(([what, how, allowed]) => ({ kind, what, how, allowed }))),
  )('one of its $kind with $what is named', async ({ kind, how, allowed }) => {
    expect(await readEverything()).toBe(3_025_000);
    const path = await objectOf(kind);
    how(path);
    const error: unknown = await readEverything().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'TarnError',
      message: expect.stringContaining(basename(path)) as string,
    });
    expect(allowed).toContain((error as { kind: string }).kind);
  });
});
