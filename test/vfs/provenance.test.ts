import { describe, expect, it } from 'vitest';
import type { FileEntry } from '../../src/model/entry.js';
import { pinnedContentId } from '../../src/model/imported.js';
import { keyFromText } from '../../src/model/path.js';
import type { FrozenFilesystem } from '../../src/vfs/frozen-filesystem.js';
import { entryXattrs } from '../../src/vfs/xattrs.js';
import { filesystemOf, inodeOf, NEVER, succeeded } from './helpers.js';
import { MemoryView } from './memory-view.mjs';

async function xattrsOf(fs: FrozenFilesystem, path: string): Promise<Record<string, string>> {
  const inode = await inodeOf(fs, path);
  const found: Record<string, string> = {};
  for (const name of succeeded(await fs.listxattr(inode, NEVER))) {
    const value = succeeded(await fs.getxattr(inode, name, NEVER));
    found[Buffer.from(name, 'latin1').toString()] = Buffer.from(value).toString();
  }
  return found;
}

const COMMIT = 'c0ffee'.repeat(11).slice(0, 64);
const SOURCE = {
  'user.tarn.repository': 'drive',
  'user.tarn.ref': 'prod-2025-08-15',
  'user.tarn.commit': COMMIT,
};

describe('provenance', () => {
  it('P1: Every file and directory has `user.tarn.repository`, `.ref`, `.commit` and `.path`.', async () => {
    const { filesystem } = filesystemOf(['räw/run/x', { path: 'räw/link', symlink: 'run' }]);
    expect(await xattrsOf(filesystem, 'räw/run')).toEqual({
      ...SOURCE,
      'user.tarn.path': 'räw/run',
    });
    expect(await xattrsOf(filesystem, 'räw/run/x')).toMatchObject({
      ...SOURCE,
      'user.tarn.path': 'räw/run/x',
    });
    expect(await xattrsOf(filesystem, 'räw/link')).toEqual({});
  });

  it('P2: A file has `user.tarn.content`, `user.mime_type` if known, and its metadata as `user.meta.KEY`.', async () => {
    const { filesystem } = filesystemOf([
      { path: 'a', bytes: 'abc', contentType: 'image/png', metadata: { ségment: 'links', b: '' } },
      { path: 'b', bytes: 'abc' },
    ]);
    const content = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(await xattrsOf(filesystem, 'a')).toEqual({
      ...SOURCE,
      'user.tarn.path': 'a',
      'user.tarn.content': content,
      'user.mime_type': 'image/png',
      'user.meta.ségment': 'links',
      'user.meta.b': '',
    });
    expect(Object.keys(await xattrsOf(filesystem, 'b'))).not.toContain('user.mime_type');
  });

  it('P3: The root has `user.tarn.tree`, `.author`, `.date`, `.message`, and metadata as `.meta.KEY`.', async () => {
    const { filesystem } = filesystemOf([], { commit: { message: 'Zwei\nZeilen ü' } });
    expect(await xattrsOf(filesystem, '')).toEqual({
      ...SOURCE,
      'user.tarn.tree': 'ab'.repeat(32),
      'user.tarn.author': 'Ada <ada@example.org>',
      'user.tarn.date': '2025-06-14T18:30:00.250Z',
      'user.tarn.message': 'Zwei\nZeilen ü',
      'user.tarn.meta.vehicle': 'ego-7',
      'user.tarn.meta.weather': 'low sun',
    });
  });

  it('P4: An attribute that Linux could not hand over is left out, and hides no other.', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => [`${i}-${'k'.repeat(90)}`, 'v'] as const);
    const { filesystem } = filesystemOf([], {
      commit: {
        message: 'm'.repeat(65_537),
        metadata: {
          ['k'.repeat(241)]: 'long',
          nul: 'a\0b',
          'n\0l': 'x',
          ...Object.fromEntries(many),
        },
      },
    });
    const names = Object.keys(await xattrsOf(filesystem, ''));
    expect(names).toContain('user.tarn.author');
    expect(names).toContain('user.tarn.meta.nul');
    expect(names).not.toContain('user.tarn.message');
    expect(names).not.toContain(`user.tarn.meta.${'k'.repeat(241)}`);
    expect(names.some((name) => name.includes('\0'))).toBe(false);
    const listBytes = names.reduce((sum, name) => sum + Buffer.byteLength(name) + 1, 0);
    expect(listBytes).toBeLessThanOrEqual(65_536);
    expect(listBytes).toBeGreaterThan(65_000);
  });

  it('P5: An attribute that is not there is ENODATA; one outside of `user.` is ENOTSUP.', async () => {
    const { filesystem } = filesystemOf(['run/x', { path: 'link', symlink: 'run' }]);
    const ask = async (path: string, name: string) =>
      filesystem.getxattr(await inodeOf(filesystem, path), keyFromText(name), NEVER);
    for (const path of ['', 'run', 'run/x', 'link']) {
      expect(await ask(path, 'user.none')).toBe('ENODATA');
      expect(await ask(path, 'user.tarn.meta.none')).toBe('ENODATA');
      expect(await ask(path, 'security.capability')).toBe('ENOTSUP');
      expect(await ask(path, 'system.posix_acl_access')).toBe('ENOTSUP');
    }
    expect(await ask('run/x', 'user.tarn.author')).toBe('ENODATA');
    expect(await ask('link', 'user.tarn.path')).toBe('ENODATA');
  });

  it("P6: The mount's source reads `tarn://repository/commit`.", () => {
    expect(filesystemOf([]).filesystem.sourceName).toBe(`tarn://drive/${COMMIT}`);
  });

  it('P7: statfs counts all entries and bytes of the commit, also what is not shown, and no free space.', async () => {
    const { filesystem } = filesystemOf([
      { path: 'a', bytes: '12345' },
      { path: 'b//c', bytes: '123' },
      { path: 'd/' },
      { path: 'e', symlink: 'abcd' },
    ]);
    expect(await filesystem.statfs(NEVER)).toEqual({ files: 4, bytes: 12 });
  });

  it('P8: An imported file has `user.tarn.imported`, the URL of the file that it points at.', () => {
    const pin = { kind: 'mtime', mtimeSec: 1, mtimeNsec: 0 } as const;
    const url = 'file:///data/run-8421/é.jpg';
    const content = pinnedContentId(url, 3, pin);
    const entry: FileEntry = {
      kind: 'file',
      mode: 0o644,
      size: 3,
      content,
      address: { kind: 'imported', url, pin },
      mtimeSec: 1,
      mtimeNsec: 0,
    };
    const { source } = new MemoryView([]);
    const found = entryXattrs(source, keyFromText('é.jpg'), entry);
    const valueOf = (name: string) => Buffer.from(found.get(keyFromText(name)) ?? []).toString();
    expect(valueOf('user.tarn.imported')).toBe(url);
    expect(valueOf('user.tarn.content')).toBe(content);
  });
});
