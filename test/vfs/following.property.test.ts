import fc from 'fast-check';
import { expect, it } from 'vitest';
import { keyFromText, type Key } from '../../src/model/path.js';
import type { Inode } from '../../src/vfs/filesystem.js';
import { FollowingFilesystem } from '../../src/vfs/following-filesystem.js';
import { FrozenFilesystem } from '../../src/vfs/frozen-filesystem.js';
import { list, NEVER, ROOT } from './helpers.js';
import { MemoryView } from './memory-view.mjs';

type Files = Readonly<Record<string, string>>;

/** Few names, so that files and directories take one another's, and a file shows beside a directory. */
const NAMES = ['a', 'b', 'a~file'];
const PATHS = NAMES.flatMap((one) => [
  one,
  `${one}/`,
  ...NAMES.flatMap((two) => [`${one}/${two}`, `${one}/${two}/c`]),
]);

/** Remembers names and listings for ever, as a kernel does, unless it is told of them. */
class Kernel {
  readonly #fs: FollowingFilesystem;
  readonly #names = new Map<Inode, Map<string, Inode | undefined>>();
  readonly #listings = new Map<Inode, string[]>();

  constructor(fs: FollowingFilesystem) {
    this.#fs = fs;
    fs.connect({
      grant: () => {},
      entryChanged: (parent, name) => {
        this.#names.get(parent)?.delete(name);
        this.#listings.delete(parent);
      },
      nodeChanged: () => {},
      heard: () => Promise.resolve(),
    });
  }

  /** Everything below a directory as text: names, kinds and what files hold. */
  async show(directory: Inode = ROOT, path = ''): Promise<string[]> {
    const listed = this.#listings.get(directory) ?? (await this.#list(directory));
    const all: string[] = [];
    for (const name of listed) {
      const inode = await this.find(directory, name);
      if (inode === undefined) all.push(`${path}${name} is not there`);
      else all.push(...(await this.#showNode(inode, `${path}${name}`)));
    }
    return all;
  }

  async find(directory: Inode, name: string): Promise<Inode | undefined> {
    const known = this.#names.get(directory) ?? new Map<string, Inode | undefined>();
    this.#names.set(directory, known);
    if (known.has(name)) return known.get(name);
    const found = await this.#fs.lookup(directory, name as Key, NEVER);
    const inode = typeof found === 'string' ? undefined : found.inode;
    known.set(name, inode);
    return inode;
  }

  async #list(directory: Inode): Promise<string[]> {
    const names = (await list(this.#fs, directory)).slice(2).map(({ name }) => name);
    this.#listings.set(directory, names);
    return names;
  }

  async #showNode(inode: Inode, path: string): Promise<string[]> {
    const found = await this.#fs.getattr(inode, NEVER);
    if (typeof found === 'string') return [`${path}: ${found}`];
    if (found.kind === 'directory') return [`${path}/`, ...(await this.show(inode, `${path}/`))];
    const opened = await this.#fs.open(inode, NEVER);
    if (typeof opened === 'string') return [`${path}: ${opened}`];
    const bytes = await this.#fs.read(opened.handle, 0, 99, NEVER);
    this.#fs.release(opened.handle);
    return [`${path}=${typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString()}`];
  }
}

function viewOf(files: Files): MemoryView {
  return new MemoryView(Object.entries(files).map(([path, bytes]) => ({ path, bytes })));
}

async function truth(files: Files): Promise<string[]> {
  const fs = new FrozenFilesystem(viewOf(files));
  const show = async (inode: Inode, path: string): Promise<string[]> => {
    const all: string[] = [];
    for (const { name, attributes } of (await list(fs, inode)).slice(2)) {
      if (attributes.kind === 'directory') {
        all.push(`${path}${name}/`, ...(await show(attributes.inode, `${path}${name}/`)));
        continue;
      }
      const opened = await fs.open(attributes.inode, NEVER);
      if (typeof opened === 'string') throw new Error(opened);
      const bytes = await fs.read(opened.handle, 0, 99, NEVER);
      fs.release(opened.handle);
      all.push(`${path}${name}=${Buffer.from(bytes as Uint8Array).toString()}`);
    }
    return all;
  };
  return show(ROOT, '');
}

const commits = fc.array(
  fc.record({
    files: fc
      .dictionary(fc.constantFrom(...PATHS), fc.constantFrom('1', '2', '33'), { maxKeys: 6 })
      .map((files) =>
        Object.fromEntries(
          Object.entries(files).map(([path, bytes]) => [path, path.endsWith('/') ? '' : bytes]),
        ),
      ),
    probed: fc.array(fc.constantFrom(...NAMES, 'a~file2'), { maxLength: 2 }),
    isLooked: fc.boolean(),
  }),
  { minLength: 2, maxLength: 6 },
);

it('shows a kernel that keeps all that it was not told of what each commit has', async () => {
  await fc.assert(
    fc.asyncProperty(commits, async (drawn) => {
      const [first, ...later] = drawn as [(typeof drawn)[0], ...typeof drawn];
      const fs = new FollowingFilesystem(viewOf(first.files));
      const kernel = new Kernel(fs);
      let before: Files = first.files;
      expect(await kernel.show()).toEqual(await truth(before));
      for (const { files, probed, isLooked } of later) {
        for (const name of probed) await kernel.find(ROOT, name);
        const keys = [...new Set([...Object.keys(before), ...Object.keys(files)])].sort();
        const changed = keys.filter((path) => before[path] !== (files as Files)[path]);
        await fs.follow(viewOf(files), changed.map(keyFromText));
        before = files;
        if (isLooked) expect(await kernel.show()).toEqual(await truth(files));
      }
      expect(await kernel.show()).toEqual(await truth(before));
    }),
    { numRuns: 100 },
  );
});
