import { mkdirSync } from 'node:fs';
import type { Key } from '../../../src/model/path.js';
import { ROOT_KEY } from '../../../src/model/path.js';
import { LiveWorkspace } from '../../../src/overlay/live-workspace.js';
import type { OverlayThreads } from '../../../src/overlay/jobs/registry.js';
import { OVERLAY_JOBS } from '../../../src/overlay/jobs/registry.js';
import { WorkspaceFilesystem } from '../../../src/overlay/workspace-filesystem.js';
import type { Attributes, Inode } from '../../../src/vfs/filesystem.js';
import type { OpenAccess, RenameHow } from '../../../src/vfs/writable.js';
import type { JobContext, JobOutput } from '../../../src/workspace/jobs/job.js';
import { KeptOpen } from '../../../src/workspace/jobs/kept-open.js';
import type { Workspace } from '../../../src/workspace/workspace.js';
import { key, Sandbox, scan } from '../../workspace/sandbox.js';

const SIGNAL = new AbortController().signal;
const OWNER = { mode: 0o644, uid: 0, gid: 0 };
const READING: OpenAccess = { reads: true, writes: false, truncates: false, appends: false };
const WRITING: OpenAccess = { reads: true, writes: true, truncates: false, appends: false };

/** Runs jobs as their threads do, on this one. */
function jobsHere(open: KeptOpen, before: (name: string) => Promise<void> | void): OverlayThreads {
  const run = async (
    name: keyof typeof OVERLAY_JOBS,
    input: { repository: string },
    { onRows }: { onRows?: (rows: unknown) => Promise<void> | void } = {},
  ): Promise<unknown> => {
    await before(name);
    const { run: job } = await OVERLAY_JOBS[name].load();
    const output: JobOutput<never> = {
      signal: SIGNAL,
      progress: () => undefined,
      rows: async (rows) => void (await onRows?.(structuredClone(rows))),
    };
    const work = job as (c: JobContext, i: unknown, o: JobOutput<never>) => Promise<unknown>;
    return work(await open.contextFor(input.repository), structuredClone(input), output);
  };
  return { run } as unknown as OverlayThreads;
}

/** A mounted branch without a kernel: calls by paths. */
export class Live {
  readonly sandbox: Sandbox;
  readonly workspace: Workspace;
  readonly others: Workspace;
  readonly #open: KeptOpen;
  readonly #faults: unknown[] = [];
  /** Called before a job is run, with its name. */
  beforeJob: (name: string) => Promise<void> | void = () => undefined;
  live!: LiveWorkspace;
  filesystem!: WorkspaceFilesystem;

  private constructor(sandbox: Sandbox, workspace: Workspace, others: Workspace) {
    this.sandbox = sandbox;
    this.workspace = workspace;
    this.others = others;
    this.#open = new KeptOpen(sandbox.home.path);
  }

  static async make(): Promise<Live> {
    const sandbox = await Sandbox.make();
    mkdirSync(`${sandbox.home.path}/cache`, { recursive: true });
    const others = await sandbox.workspace('main', sandbox.anotherHome());
    const made = new Live(sandbox, await sandbox.workspace(), others);
    await made.start();
    return made;
  }

  async start(): Promise<void> {
    const folder = this.sandbox.home.overlayFolder('drive', 'main');
    mkdirSync(folder, { recursive: true });
    this.live = await LiveWorkspace.open({
      repository: await this.sandbox.repository(),
      branch: 'main',
      folder,
      threads: jobsHere(this.#open, (name) => this.beforeJob(name)),
      onFault: (error) => void this.#faults.push(error),
    });
    this.filesystem = new WorkspaceFilesystem(this.live.overlay, { uid: 0, gid: 0, umask: 0 });
  }

  async stop(): Promise<void> {
    this.filesystem.close();
    await this.live.close();
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.#open.close();
    await this.sandbox.remove();
    if (this.#faults.length > 0) throw this.#faults[0];
  }

  // Calls by path; each resolves to an errno or 'ok'

  async write(path: string, text: string): Promise<string> {
    const handle = await this.openForWriting(path);
    if (typeof handle === 'string') return handle;
    const done = await this.filesystem.write(handle, 0, Buffer.from(text), SIGNAL);
    this.filesystem.release(handle);
    return typeof done === 'string' ? done : 'ok';
  }

  /** The handle, to be released. */
  async openForWriting(path: string): Promise<number | string> {
    return this.#at(path, async (parent, name) => {
      const found = await this.#lookup(parent, name);
      if (typeof found !== 'string') {
        const opened = await this.filesystem.openFor(found.inode, WRITING, SIGNAL);
        return typeof opened === 'string' ? opened : opened.handle;
      }
      const made = await this.filesystem.create(parent, name, OWNER, WRITING, SIGNAL);
      if (typeof made === 'string') return made;
      this.filesystem.forget(made.attributes.inode, 1);
      return made.opened.handle;
    });
  }

  mkdir(path: string): Promise<string> {
    return this.#made(path, (parent, name) =>
      this.filesystem.makeDirectory(parent, name, { ...OWNER, mode: 0o755 }, SIGNAL),
    );
  }

  symlink(path: string, target: string): Promise<string> {
    return this.#made(path, (parent, name) =>
      this.filesystem.symlink(parent, name, key(target), OWNER, SIGNAL),
    );
  }

  fifo(path: string): Promise<string> {
    return this.#made(path, (parent, name) =>
      this.filesystem.makeNode(parent, name, 'fifo', OWNER, 0, SIGNAL),
    );
  }

  link(from: string, to: string): Promise<string> {
    return this.#at(from, async (parent, name) => {
      const found = await this.#lookup(parent, name);
      if (typeof found === 'string') return found;
      return this.#made(to, (there, as) => this.filesystem.link(found.inode, there, as, SIGNAL));
    });
  }

  unlink(path: string): Promise<string> {
    return this.#at(path, async (parent, name) => {
      const found = await this.#lookup(parent, name);
      if (typeof found === 'string') return found;
      const isDirectory = found.kind === 'directory';
      const done = isDirectory
        ? await this.filesystem.removeDirectory(parent, name, SIGNAL)
        : await this.filesystem.unlink(parent, name, SIGNAL);
      return done ?? 'ok';
    });
  }

  rename(from: string, to: string, how: RenameHow = 'replace'): Promise<string> {
    return this.#at(from, (parent, name) =>
      this.#at(to, async (there, as) => {
        // The kernel refuses these before it asks.
        if (to.startsWith(`${from}/`) || from.startsWith(`${to}/`)) return 'EINVAL';
        const kinds = [await this.#lookup(parent, name), await this.#lookup(there, as)];
        const [a, b] = kinds.map((each) => (typeof each === 'string' ? undefined : each.kind));
        if (b !== undefined && how !== 'exchange' && (a === 'directory') !== (b === 'directory')) {
          return 'ENOTDIR';
        }
        return (await this.filesystem.rename(parent, name, there, as, how, SIGNAL)) ?? 'ok';
      }),
    );
  }

  chmod(path: string, mode: number): Promise<string> {
    return this.#at(path, async (parent, name) => {
      const found = await this.#lookup(parent, name);
      if (typeof found === 'string') return found;
      const done = await this.filesystem.setattr(found.inode, { mode }, SIGNAL);
      return typeof done === 'string' ? done : 'ok';
    });
  }

  setXattr(path: string, name: string, value: string): Promise<string> {
    return this.#at(path, async (parent, as) => {
      const found = await this.#lookup(parent, as);
      if (typeof found === 'string') return found;
      const bytes = Buffer.from(value);
      const { inode } = found;
      return (await this.filesystem.setxattr(inode, key(name), bytes, 'set', SIGNAL)) ?? 'ok';
    });
  }

  removeXattr(path: string, name: string): Promise<string> {
    return this.#at(path, async (parent, as) => {
      const found = await this.#lookup(parent, as);
      if (typeof found === 'string') return found;
      return (await this.filesystem.removexattr(found.inode, key(name), SIGNAL)) ?? 'ok';
    });
  }

  xattr(path: string, name: string): Promise<string> {
    return this.#at(path, async (parent, as) => {
      const found = await this.#lookup(parent, as);
      if (typeof found === 'string') return found;
      const value = await this.filesystem.getxattr(found.inode, key(name), SIGNAL);
      return typeof value === 'string' ? value : Buffer.from(value).toString();
    });
  }

  /** All there is, by paths; directories end with `/`. */
  async tree(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    await this.#walk(1, ROOT_KEY, found);
    return found;
  }

  /** The same of what is staged, without inode numbers. */
  async staged(): Promise<Record<string, string>> {
    const view = await this.workspace.view();
    const found: Record<string, string> = {};
    for (const [path, entry] of await scan(view)) {
      for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) {
        found[path.slice(0, end + 1)] ??= 'directory';
      }
      if (path.endsWith('/')) found[path] = 'directory';
      else if (entry.kind === 'symlink') found[path] = `-> ${entry.target}`;
      else {
        const content = await view.open(key(path), entry);
        const text = Buffer.from(await content.read(0, entry.size)).toString();
        content.close();
        found[path] = `${entry.mode.toString(8)} ${text}`;
      }
    }
    return found;
  }

  inodes(): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    return this.#walk(1, ROOT_KEY, {}, found).then(() => found);
  }

  async #walk(
    inode: Inode,
    prefix: Key,
    found: Record<string, string>,
    inodes?: Record<string, number>,
  ): Promise<void> {
    for (const name of await this.#list(inode)) {
      const node = await this.filesystem.lookup(inode, name, SIGNAL);
      if (typeof node === 'string') throw new Error(`${prefix}${name}: ${node}`);
      const path = `${prefix}${name}` as Key;
      if (inodes !== undefined) inodes[path] = node.inode;
      if (node.kind === 'directory') {
        found[`${path}/`] = 'directory';
        await this.#walk(node.inode, `${path}/` as Key, found, inodes);
      } else found[path] = await this.#show(node);
      this.filesystem.forget(node.inode, 1);
    }
  }

  async #show({ inode, kind, mode, size }: Attributes): Promise<string> {
    if (kind === 'symlink') {
      const link = await this.filesystem.readlink(inode, SIGNAL);
      return typeof link === 'string' ? link : `-> ${link.target}`;
    }
    if (kind !== 'file') return kind;
    const opened = await this.filesystem.openFor(inode, READING, SIGNAL);
    if (typeof opened === 'string') return opened;
    const bytes = await this.filesystem.read(opened.handle, 0, size, SIGNAL);
    this.filesystem.release(opened.handle);
    return `${mode.toString(8)} ${typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString()}`;
  }

  async #list(inode: Inode): Promise<Key[]> {
    const opened = await this.filesystem.opendir(inode, SIGNAL);
    if (typeof opened === 'string') throw new Error(opened);
    const names: Key[] = [];
    const add = (name: Key): boolean => names.push(name) > 0;
    await this.filesystem.readdir(opened.handle, 0, { add, addName: add }, SIGNAL);
    this.filesystem.releasedir(opened.handle);
    return names.filter((name) => name !== '.' && name !== '..');
  }

  #made(
    path: string,
    make: (parent: Inode, name: Key) => Attributes | string | Promise<Attributes | string>,
  ): Promise<string> {
    return this.#at(path, async (parent, name) => {
      const made = await make(parent, name);
      if (typeof made === 'string') return made;
      this.filesystem.forget(made.inode, 1);
      return 'ok';
    });
  }

  /** Forgets at once: what is not held may be let go of at any time. */
  async #lookup(parent: Inode, name: Key): Promise<Attributes | string> {
    const found = await this.filesystem.lookup(parent, name, SIGNAL);
    if (typeof found !== 'string') this.filesystem.forget(found.inode, 1);
    return found;
  }

  async #at<T>(path: string, work: (parent: Inode, name: Key) => Promise<T>): Promise<T | string> {
    const components = path.split('/').map(key);
    const held: Inode[] = [];
    let inode: Inode = 1;
    try {
      for (const component of components.slice(0, -1)) {
        const found = await this.filesystem.lookup(inode, component, SIGNAL);
        if (typeof found === 'string') return found;
        held.push(found.inode);
        if (found.kind !== 'directory') return 'ENOTDIR';
        ({ inode } = found);
      }
      return await work(inode, components.at(-1) as Key);
    } finally {
      for (const each of held) this.filesystem.forget(each, 1);
    }
  }
}
