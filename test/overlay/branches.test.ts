import { afterEach, describe, expect, it } from 'vitest';
import { keyFromText, type Key } from '../../src/model/path.js';
import { Overlay } from '../../src/overlay/overlay.js';
import { WorkspaceFilesystem } from '../../src/overlay/workspace-filesystem.js';
import type { Attributes, Errno } from '../../src/vfs/filesystem.js';
import type { WritableDriverEvents } from '../../src/vfs/writable.js';
import type { MemoryFile } from '../vfs/memory-view.mjs';
import { Mounted, NEVER, OWNER, READ, ROOT, WRITE } from './mount-model.js';

const LABELS: readonly MemoryFile[] = [
  { path: 'labels/8421.json', bytes: '{"ok":true}' },
  { path: 'labels/front/1.json', bytes: '1' },
  { path: 'raw/log.mcap', bytes: 'log' },
];

let mounted: Mounted;

afterEach(() => mounted.dispose());

function over(files: readonly MemoryFile[]): Mounted {
  mounted = new Mounted(files);
  return mounted;
}

function attributes(found: Attributes | Errno): Attributes {
  expect(found).not.toBeTypeOf('string');
  return found as Attributes;
}

/** Another mount of the same branch, and what its driver is told. */
function second(): { fs: WorkspaceFilesystem; told: string[] } {
  const fs = new WorkspaceFilesystem(mounted.overlay, { uid: 1, gid: 2, umask: 0 });
  const told: string[] = [];
  fs.connectWriting(recorder(told));
  return { fs, told };
}

function recorder(told: string[]): WritableDriverEvents {
  return {
    grant: () => {},
    nodeStaged: () => {},
    heard: () => Promise.resolve(),
    entryChanged: (parent, name) => told.push(`${parent === ROOT ? 'root' : 'other'}/${name}`),
    nodeChanged: (inode, bytes) => told.push(`${inode === ROOT ? 'root' : 'node'} ${bytes}`),
  };
}

async function stage(files: readonly MemoryFile[]): Promise<void> {
  const { overlay } = mounted;
  const snapshot = overlay.snapshot();
  overlay.rebase(...(await mounted.absorb(snapshot, mounted.view(files))));
  snapshot.end();
}

describe('a branch as a filesystem that can be written', () => {
  it('B1: A call that changed names is in the journal when it returns.', async () => {
    over(LABELS);
    const { fs, overlay, folder } = mounted;
    await mounted.create(ROOT, 'new', 'bytes');
    await fs.rename(ROOT, keyFromText('labels'), ROOT, keyFromText('moved'), 'replace', NEVER);
    // As after a kill: nothing was closed.
    const again = Overlay.open(folder, overlay.base.view);
    const names = [...(again.root.directory?.own.values() ?? [])];
    expect(names.map(({ name, node }) => [name, node?.kind])).toEqual([
      ['new', 'file'],
      ['labels', undefined],
      ['moved', 'directory'],
    ]);
    await again.close();
  });

  it('B2: A node keeps its inode number through renames, commits and restarts.', async () => {
    over(LABELS);
    const { fs } = mounted;
    const before = await mounted.inode('labels/front/1.json');
    await fs.rename(ROOT, keyFromText('labels'), ROOT, keyFromText('moved'), 'replace', NEVER);
    await mounted.create(await mounted.inode('moved/front'), '2.json', '2');
    const made = await mounted.inode('moved/front/2.json');
    const at = await mounted.inode('moved');
    await mounted.fs.rename(
      await mounted.inode('moved/front'),
      keyFromText('2.json'),
      at,
      keyFromText('3.json'),
      'replace',
      NEVER,
    );
    const files = [
      { path: 'moved/8421.json', bytes: '{"ok":true}' },
      { path: 'moved/front/1.json', bytes: '1' },
      { path: 'moved/3.json', bytes: '2', mode: 0o644 },
      { path: 'raw/log.mcap', bytes: 'log' },
    ];
    await stage(files);
    expect(mounted.overlay.isEmpty).toBe(true);
    await mounted.reopen();
    expect(await mounted.inode('moved')).toBe(at);
    expect(await mounted.inode('moved/front/1.json')).toBe(before);
    expect(await mounted.inode('moved/3.json')).toBe(made);
    // What is made where it was has numbers of its own.
    attributes(await mounted.fs.makeDirectory(ROOT, keyFromText('labels'), OWNER, NEVER));
    const again = await mounted.create(await mounted.inode('labels'), '8421.json');
    expect(attributes(again).inode).not.toBe(await mounted.inode('moved/8421.json'));
  });

  it('B3: Renaming a directory changes nothing below it, however much that is.', async () => {
    over(Array.from({ length: 500 }, (_, i) => ({ path: `labels/${i}.json`, bytes: `${i}` })));
    const { fs, overlay } = mounted;
    await fs.rename(ROOT, keyFromText('labels'), ROOT, keyFromText('moved'), 'replace', NEVER);
    expect([...overlay.changedNodes()].length).toBe(2);
    expect((await mounted.list(await mounted.inode('moved'))).size).toBe(500);
    expect(await mounted.bytes(await mounted.inode('moved/77.json'))).toBe('77');
    expect(await mounted.at('labels')).toBe('ENOENT');
  });

  it('B4: What one mount changes the others are told, and it is not told itself.', async () => {
    over(LABELS);
    const own: string[] = [];
    mounted.fs.connectWriting(recorder(own));
    const { fs, told } = second();
    await mounted.create(ROOT, 'new');
    expect(told).toContain('root/new');
    told.length = 0;
    const inode = attributes(await fs.lookup(ROOT, keyFromText('new'), NEVER)).inode;
    await mounted.write(inode, 0, 'bytes');
    expect(told).toContain('node true');
    await fs.unlink(ROOT, keyFromText('new'), NEVER);
    expect(own).toContain('root/new');
    told.length = 0;
    // Of what its kernel does not know it hears nothing.
    await mounted.create(await mounted.inode('labels'), 'unseen');
    expect(told).toEqual([]);
    fs.close();
  });

  it('B18: A program that runs is not emptied by who opens it with `O_TRUNC`: ETXTBSY.', async () => {
    const { fs } = over(LABELS);
    const inode = await mounted.inode('labels/8421.json');
    const running = await fs.openFor(inode, { ...READ, executes: true }, NEVER);
    if (typeof running === 'string') throw new Error(running);
    const size = (await mounted.at('labels/8421.json')) as Attributes;
    expect(await fs.openFor(inode, { ...READ, truncates: true }, NEVER)).toBe('ETXTBSY');
    expect(await mounted.at('labels/8421.json')).toMatchObject({ size: size.size });
    fs.release(running.handle);
    const emptied = await fs.openFor(inode, { ...READ, truncates: true }, NEVER);
    if (typeof emptied === 'string') throw new Error(emptied);
    fs.release(emptied.handle);
    expect(await mounted.at('labels/8421.json')).toMatchObject({ size: 0 });
  });

  it('B5: An unlinked file that is open keeps its bytes until it is closed.', async () => {
    over(LABELS);
    const { fs } = mounted;
    const inode = await mounted.inode('raw/log.mcap');
    const opened = await fs.openFor(inode, WRITE, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    await fs.unlink(await mounted.inode('raw'), keyFromText('log.mcap'), NEVER);
    expect(attributes(await fs.getattr(inode, NEVER)).nlink).toBe(0);
    await fs.write(opened.handle, 3, Buffer.from('ged'), NEVER);
    expect(Buffer.from((await fs.read(opened.handle, 0, 9, NEVER)) as Uint8Array).toString()).toBe(
      'logged',
    );
    fs.release(opened.handle);
    expect([...mounted.overlay.files.folder.numbers()]).toEqual([inode]);
    // Nor is it gone for who opens it by a way that needs no name.
    expect(await mounted.bytes(inode)).toBe('logged');
    const unread = await mounted.inode('labels/8421.json');
    await fs.unlink(await mounted.inode('labels'), keyFromText('8421.json'), NEVER);
    expect(await mounted.bytes(unread)).toBe('{"ok":true}');
    fs.forget(inode, 1);
    expect([...mounted.overlay.files.folder.numbers()]).toEqual([]);
    expect(await fs.getattr(inode, NEVER)).toBe('ESTALE');
  });

  it('B6: A file that others change keeps its bytes for those who have it open.', async () => {
    over(LABELS);
    const { fs, overlay } = mounted;
    const told: string[] = [];
    fs.connectWriting(recorder(told));
    const inode = await mounted.inode('raw/log.mcap');
    const opened = await fs.openFor(inode, READ, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    await mounted.inode('labels/8421.json');
    overlay.rebase(
      mounted.view([
        { path: 'labels/8421.json', bytes: 'other' },
        { path: 'raw/log.mcap', bytes: 'longer log' },
      ]),
    );
    const keys = ['labels/8421.json', 'labels/front/1.json', 'raw/log.mcap'].map(keyFromText);
    await overlay.follow(keys, NEVER);
    expect(told).toEqual(expect.arrayContaining(['other/8421.json', 'node true']));
    expect(Buffer.from((await fs.read(opened.handle, 0, 9, NEVER)) as Uint8Array).toString()).toBe(
      'log',
    );
    fs.release(opened.handle);
    const now = await mounted.inode('raw/log.mcap');
    expect(now).not.toBe(inode);
    expect(await mounted.bytes(now)).toBe('longer log');
    expect(await mounted.bytes(await mounted.inode('labels/8421.json'))).toBe('other');
    expect(await mounted.at('labels/front')).toBe('ENOENT');
  });

  it('B7: A path has at most 4,095 bytes: a longer one is ENAMETOOLONG.', async () => {
    over([]);
    const name = keyFromText('d'.repeat(255));
    let at = ROOT;
    for (let i = 0; i < 15; i += 1) {
      at = attributes(await mounted.fs.makeDirectory(at, name, OWNER, NEVER)).inode;
    }
    // 15 × 256 bytes, and 255 for a file; a directory has a `/` more.
    expect(await mounted.create(at, 'f'.repeat(255))).not.toBeTypeOf('string');
    const inner = attributes(
      await mounted.fs.makeDirectory(at, keyFromText('e'.repeat(249)), OWNER, NEVER),
    ).inode;
    expect(await mounted.create(inner, '12345')).not.toBeTypeOf('string');
    expect(await mounted.create(inner, '123456')).toBe('ENAMETOOLONG');
    expect(await mounted.create(ROOT, 'f'.repeat(256))).toBe('ENAMETOOLONG');
  });

  it('B8: Where a key is a file and a directory, the name takes no other file: EEXIST.', async () => {
    over([{ path: 'a', bytes: 'file' }, { path: 'a/b' }, { path: 'other', bytes: 'o' }]);
    const { fs } = mounted;
    await fs.unlink(await mounted.inode('a'), keyFromText('b'), NEVER);
    expect(await fs.removeDirectory(ROOT, keyFromText('a'), NEVER)).toBeUndefined();
    expect(await mounted.create(ROOT, 'a')).toBe('EEXIST');
    const [a, other] = [keyFromText('a'), keyFromText('other')];
    expect(await fs.rename(ROOT, other, ROOT, a, 'replace', NEVER)).toBe('EEXIST');
    expect(await mounted.bytes(await mounted.inode('a~file'))).toBe('file');
    attributes(await fs.makeDirectory(ROOT, a, OWNER, NEVER));
    await mounted.write(await mounted.inode('a~file'), 0, 'F');
    expect(await mounted.bytes(await mounted.inode('a~file'))).toBe('File');
  });

  it('B9: A directory that was made has 2 links and one for each in it, others have 1.', async () => {
    over(LABELS);
    const { fs } = mounted;
    const made = attributes(await fs.makeDirectory(ROOT, keyFromText('made'), OWNER, NEVER));
    expect(made.nlink).toBe(2);
    const labels = keyFromText('labels');
    await fs.rename(ROOT, labels, made.inode, labels, 'replace', NEVER);
    expect(attributes(await mounted.at('made')).nlink).toBe(3);
    expect(attributes(await mounted.at('made/labels')).nlink).toBe(1);
  });

  it('B10: What is made in a set-group-ID directory has its group, a directory also the bit.', async () => {
    over([]);
    const owner = { mode: 0o2775, uid: 5, gid: 50 };
    const at = attributes(
      await mounted.fs.makeDirectory(ROOT, keyFromText('d'), owner, NEVER),
    ).inode;
    expect(attributes(await mounted.create(at, 'f')).own).toMatchObject({ uid: 7, gid: 50 });
    const below = await mounted.fs.makeDirectory(at, keyFromText('e'), OWNER, NEVER);
    expect(attributes(below)).toMatchObject({ mode: 0o2644, own: { uid: 7, gid: 50 } });
  });

  it('B11: Attributes `user.tarn.` cannot be changed: EPERM; all others may have 16,384 bytes.', async () => {
    over([{ path: 'f', metadata: { sensor: 'front' } }]);
    const { fs } = mounted;
    const inode = await mounted.inode('f');
    const set = (name: string, bytes: number): unknown =>
      fs.setxattr(inode, keyFromText(name), new Uint8Array(bytes), 'set', NEVER);
    expect(await set('user.tarn.path', 1)).toBe('EPERM');
    expect(await set('trusted.x', 1)).toBe('ENOTSUP');
    expect(await set('user.big', 17_000)).toBe('ENOSPC');
    expect(await set('user.small', 3)).toBeUndefined();
    await mounted.reopen();
    const again = await mounted.inode('f');
    const names = await mounted.fs.listxattr(again, NEVER);
    expect(names).toEqual(expect.arrayContaining(['user.meta.sensor', 'user.small']));
    const gone = keyFromText('user.meta.sensor');
    expect(await mounted.fs.removexattr(again, gone, NEVER)).toBeUndefined();
    expect(await mounted.fs.getxattr(again, gone, NEVER)).toBe('ENODATA');
  });

  it('B12: Names of one file are files of their own after a commit.', async () => {
    over(LABELS);
    const { fs, overlay } = mounted;
    const made = attributes(await mounted.create(ROOT, 'a', 'same'));
    attributes(await fs.link(made.inode, ROOT, keyFromText('b'), NEVER));
    expect(attributes(await mounted.at('b'))).toMatchObject({ inode: made.inode, nlink: 2 });
    const files = [...LABELS, { path: 'a', bytes: 'same' }, { path: 'b', bytes: 'same' }];
    const snapshot = overlay.snapshot();
    const view = mounted.view(files);
    const names = new Map(snapshot.namesOf(overlay.root).map((own) => [own, own.name]));
    const node = overlay.node(made.inode);
    const entry = await view.get(keyFromText('a'));
    if (node === undefined || entry?.kind !== 'file') throw new Error('not there');
    const absorbed = { entry, stamp: overlay.files.stat(node) };
    overlay.rebase(view, { snapshot, names, files: new Map([[node, absorbed]]) });
    snapshot.end();
    const [a, b] = [attributes(await mounted.at('a')), attributes(await mounted.at('b'))];
    expect([a.inode === made.inode, b.inode === made.inode].sort()).toEqual([false, true]);
    expect([a.nlink, b.nlink]).toEqual([1, 1]);
    await mounted.write(a.inode, 0, 'S');
    expect([await mounted.bytes(a.inode), await mounted.bytes(b.inode)]).toEqual(['Same', 'same']);
  });

  it('B13: A listing shows once each name that is there all the while.', async () => {
    over(LABELS);
    const { fs } = mounted;
    await mounted.create(ROOT, 'made');
    const opened = await fs.opendir(ROOT, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    const seen: Key[] = [];
    let next = 0;
    const step = async (): Promise<boolean> => {
      let isTaken = false;
      const addNode = (name: Key, position: number): 'full' | 'listed' => {
        if (isTaken) return 'full';
        isTaken = true;
        seen.push(name);
        next = position;
        return 'listed';
      };
      await fs.readdirNodes(opened.handle, next, { addNode, addName: () => true }, NEVER);
      return isTaken;
    };
    for (let i = 0; i < 3; i += 1) await step();
    expect(seen).toEqual(['.', '..', 'made']);
    await fs.setattr(await mounted.inode('raw'), { mode: 0o700 }, NEVER);
    await mounted.write(await mounted.inode('labels/8421.json'), 0, '[');
    while (await step());
    expect(seen).toEqual(['.', '..', 'made', 'labels', 'raw']);
  });

  it('B14: A directory of the commit is not moved to a path that no commit can have.', async () => {
    over(LABELS);
    const { fs } = mounted;
    let at = ROOT;
    for (let i = 0; i < 4; i += 1) {
      const name = keyFromText('d'.repeat(250));
      at = attributes(await fs.makeDirectory(at, name, OWNER, NEVER)).inode;
    }
    const labels = keyFromText('labels');
    const to = (name: string): unknown =>
      fs.rename(ROOT, labels, at, name as Key, 'replace', NEVER);
    expect(await to('more-than-1024-bytes')).toBe('ENAMETOOLONG');
    expect(await to('\xff')).toBe('EINVAL');
    expect(await to('labels')).toBeUndefined();
    // What is new stays in the mount wherever it is.
    expect(await mounted.create(at, 'more-than-1024-bytes')).not.toBeTypeOf('string');
  });
});
