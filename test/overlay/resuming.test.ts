import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyFromText, type Key } from '../../src/model/path.js';
import { Overlay } from '../../src/overlay/overlay.js';
import { WorkspaceFilesystem } from '../../src/overlay/workspace-filesystem.js';
import type { Attributes, Errno, Inode } from '../../src/vfs/filesystem.js';
import type { NodeSink } from '../../src/vfs/living.js';
import type { RequestId } from '../../src/vfs/writable.js';
import { Mounted, NEVER, OWNER, READ, ROOT, WRITE } from './mount-model.js';

const FIRST_HANDLE = 1000;

/** What a driver keeps of its kernel for the next process. */
interface Kept {
  readonly named: Map<Inode, { readonly parent: Inode; readonly name: Key }>;
  readonly unnamed: Map<Inode, string>;
  readonly marks: Map<number, number>;
  shown: string | undefined;
}

let mounted: Mounted;
let kept: Kept;

beforeEach(() => {
  mounted = new Mounted([
    { path: 'labels/8421.json', bytes: '{"ok":true}' },
    { path: 'labels/front/1.json', bytes: '1' },
  ]);
  kept = { named: new Map(), unnamed: new Map(), marks: new Map(), shown: undefined };
  connect(mounted.fs);
});

afterEach(() => mounted.dispose());

function connect(fs: WorkspaceFilesystem): void {
  fs.connectWriting({
    grant: () => {},
    nodeStaged: () => {},
    entryChanged: () => {},
    nodeChanged: () => {},
    heard: () => Promise.resolve(),
    notes: {
      named: (inode, parent, name) => void kept.named.set(inode, { parent, name }),
      unnamed: (inode, what) => {
        kept.named.delete(inode);
        kept.unnamed.set(inode, what);
      },
      forgotten: (inode) => {
        kept.named.delete(inode);
        kept.unnamed.delete(inode);
      },
      telling: () => {},
      told: () => {},
      shows: (what) => (kept.shown = what),
      listing: (handle, mark) => {
        if (mark !== undefined) kept.marks.set(handle, mark);
      },
    },
  });
}

/** As after a kill: nothing was closed, and another process goes on. */
function goOn(): void {
  const { view } = mounted.overlay.base;
  const { unnamed } = kept;
  mounted.overlay = Overlay.open(mounted.folder, view, { unnamed });
  mounted.fs = new WorkspaceFilesystem(mounted.overlay, { uid: 1, gid: 2, umask: 0 });
  const held = { named: new Map(kept.named), unnamed: new Map(unnamed), shown: kept.shown };
  expect(mounted.fs.resume(held, FIRST_HANDLE)).toBe(false);
  connect(mounted.fs);
  mounted.overlay.letGoOfUnnamed();
}

function attributes(found: Attributes | Errno): Attributes {
  expect(found).not.toBeTypeOf('string');
  return found as Attributes;
}

async function read(handle: number): Promise<string> {
  const bytes = await mounted.fs.read(handle, 0, 100, NEVER);
  return typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString();
}

const request = (number: number): RequestId => `mount.${number}` as RequestId;
const key = keyFromText;

describe('a workspace that goes on for a kernel', () => {
  it('K2: What changes names or attributes is done once, though it is asked for again.', async () => {
    const { fs } = mounted;
    const made = attributes(await fs.makeDirectory(ROOT, key('d'), OWNER, NEVER, request(1)));
    await fs.rename(ROOT, key('d'), ROOT, key('e'), 'replace', NEVER, request(2));
    const file = await fs.create(ROOT, key('f'), OWNER, WRITE, NEVER, request(3));
    await fs.unlink(ROOT, key('f'), NEVER, request(4));
    expect(await fs.unlink(ROOT, key('f'), NEVER, request(5))).toBe('ENOENT');
    goOn();
    const outcomes = [1, 2, 3, 4, 5, 6].map((number) => mounted.fs.outcomeOf(request(number)));
    expect(typeof file).not.toBe('string');
    const created = typeof file === 'string' ? 0 : file.attributes.inode;
    expect(outcomes).toEqual([made.inode, 0, created, 0, undefined, undefined]);
    expect(attributes(await mounted.fs.take(made.inode, NEVER)).kind).toBe('directory');
  });

  it('finds by its number what nobody changed, wherever its directory was moved', async () => {
    const front = attributes(await mounted.at('labels/front'));
    const leaf = attributes(await mounted.fs.lookup(front.inode, key('1.json'), NEVER));
    await mounted.fs.rename(ROOT, key('labels'), ROOT, key('moved'), 'replace', NEVER);
    goOn();
    expect(await mounted.fs.getattr(leaf.inode, NEVER)).toMatchObject({ size: 1 });
    const again = attributes(await mounted.at('moved/front/1.json'));
    expect(again.inode).toBe(leaf.inode);
  });

  it('has nothing of what the kernel forgot', async () => {
    const leaf = attributes(await mounted.at('labels/8421.json'));
    mounted.fs.forget(leaf.inode, 1);
    goOn();
    expect(await mounted.fs.getattr(leaf.inode, NEVER)).toBe('ESTALE');
  });

  it('keeps the bytes of files without names as long as the kernel has them open', async () => {
    const { fs } = mounted;
    const made = await fs.create(ROOT, key('scratch'), OWNER, WRITE, NEVER);
    if (typeof made === 'string') throw new Error(made);
    const { attributes: scratch, opened } = made;
    await fs.write(opened.handle, 0, Buffer.from('unsaved'), NEVER);
    const labels = attributes(await mounted.at('labels/8421.json'));
    const base = await fs.open(labels.inode, NEVER);
    if (typeof base === 'string') throw new Error(base);
    await fs.unlink(ROOT, key('scratch'), NEVER);
    const directory = attributes(await mounted.at('labels'));
    await fs.unlink(directory.inode, key('8421.json'), NEVER);
    goOn();
    await mounted.fs.reopen(opened.handle, scratch.inode, WRITE, NEVER);
    await mounted.fs.reopen(base.handle, labels.inode, READ, NEVER);
    expect(await read(opened.handle)).toBe('unsaved');
    expect(await read(base.handle)).toBe('{"ok":true}');
    const next = await mounted.fs.open(
      attributes(await mounted.at('labels/front/1.json')).inode,
      NEVER,
    );
    expect(next).toMatchObject({ handle: FIRST_HANDLE + 1 });
    mounted.fs.release(opened.handle);
    mounted.fs.forget(scratch.inode, 1);
    expect([...mounted.overlay.files.folder.numbers()]).not.toContain(scratch.inode);
  });

  it('goes on with a listing after what was listed, and with all that is there all the while', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await mounted.create(ROOT, name, name);
    const opened = await mounted.fs.opendir(ROOT, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    const first = await names(opened.handle, 0, 4);
    await mounted.fs.unlink(ROOT, key('a'), NEVER);
    goOn();
    await mounted.create(ROOT, 'later', '');
    const directory = await mounted.fs.lookup(ROOT, key('labels'), NEVER);
    // It has a name of its own from now on.
    await mounted.fs.setattr(attributes(directory).inode, { mode: 0o700 }, NEVER);
    const mark = kept.marks.get(opened.handle);
    await mounted.fs.reopendir(opened.handle, ROOT, mark, NEVER);
    const rest = await names(opened.handle, first.next, 100);
    expect(first.names).toEqual(['.', '..', 'a', 'b']);
    expect(rest.names).toEqual(['c', 'd', 'labels']);
  });
});

async function names(
  handle: number,
  offset: number,
  most: number,
): Promise<{ readonly names: string[]; readonly next: number }> {
  const found = { names: [] as string[], next: offset };
  const sink: NodeSink = {
    addName: () => false,
    addNode: (name, next) => {
      if (found.names.length === most) return 'full';
      found.names.push(name);
      found.next = next;
      return 'listed';
    },
  };
  expect(await mounted.fs.readdirNodes(handle, offset, sink, NEVER)).toBeUndefined();
  return found;
}
