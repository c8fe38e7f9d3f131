import { closeSync, fstatSync, open } from 'node:fs';
import { link, mkdir, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { throwIfAborted } from '../../util/abort.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import { readAt } from '../../util/files.js';
import { checkKey, checkPrefix, isKey, RESERVED } from '../keys.js';
import { cutRange } from '../object-store.js';
import type {
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  TaggedObject,
  Upload,
  UploadedObject,
} from '../object-store.js';
import { Directories } from './directories.js';
import { conflictFault, isMissing, objectFault } from './faults.js';
import { OpenFiles } from './open-files.js';
import { replaceIfMatch } from './replace.js';
import { cleanTemps, tempName } from './temp-files.js';
import { etagOf, PendingFile } from './write-file.js';

const openFile = promisify(open);

const OPEN_FILES_MAX = 64;

/**
 * Objects as files of one directory. An object is written under a temporary name in `tmp/`, synced,
 * moved to its name, and its directory synced, so that a crash leaves it whole or not there at all.
 */
export class LocalStore implements ObjectStore {
  readonly url: string;
  readonly #directories = new Directories();
  readonly #openFiles = new OpenFiles(OPEN_FILES_MAX);

  private constructor(directory: string) {
    this.url = directory;
  }

  /**
   * Opens the store in a directory that exists, and clears what killed writers left in it.
   * @throws TarnError not-found, not-directory, io
   */
  static async open(directory: string): Promise<LocalStore> {
    const path = resolve(directory);
    try {
      if (!(await stat(path)).isDirectory()) {
        throw new TarnError('not-directory', `'${path}' is not a directory`);
      }
      await cleanTemps(join(path, RESERVED));
    } catch (error) {
      throw asTarnError(error, `opening the object store in '${path}'`);
    }
    return new LocalStore(path);
  }

  /** Opens the store after making its directory where there is none. */
  static async create(directory: string): Promise<LocalStore> {
    const path = resolve(directory);
    try {
      await mkdir(path, { recursive: true });
      await new Directories().sync(dirname(path));
    } catch (error) {
      throw asTarnError(error, `making the directory '${path}'`);
    }
    return LocalStore.open(path);
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    const path = this.localPath(key);
    const { range, signal } = options;
    throwIfAborted(signal);
    try {
      if (range === undefined) return await readWhole(path);
      return await this.#openFiles.use(path, (fd, size) => {
        const { offset, length } = cutRange(range, size);
        return readAt(fd, offset, length);
      });
    } catch (error) {
      throw objectFault(error, key, this.url, 'reading');
    }
  }

  async getTagged(key: string, signal?: AbortSignal): Promise<TaggedObject | undefined> {
    const path = this.localPath(key);
    throwIfAborted(signal);
    try {
      return await readTagged(path);
    } catch (error) {
      const fault = objectFault(error, key, this.url, 'reading');
      if (fault.kind === 'not-found') return undefined;
      throw fault;
    }
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<ObjectInfo> {
    const path = this.localPath(key);
    const { signal, ifMatch, ifNoneMatch } = options;
    throwIfAborted(signal);
    if (ifNoneMatch !== undefined && (await this.#settled(path)))
      throw conflictFault(key, this.url);
    const file = await this.#newFile();
    try {
      await file.write(bytes);
      const info = await file.complete();
      throwIfAborted(signal);
      await this.#directories.ensure(dirname(path));
      if (ifMatch !== undefined) {
        if (!replaceIfMatch(this.url, file.path, path, ifMatch)) throw conflictFault(key, this.url);
      } else if (ifNoneMatch === undefined) {
        await rename(file.path, path);
      } else if (!(await linkNew(file.path, path))) {
        await this.#directories.sync(dirname(path));
        throw conflictFault(key, this.url);
      }
      this.#openFiles.forget(path);
      await this.#directories.sync(dirname(path));
      return { key, ...info };
    } catch (error) {
      throw objectFault(error, key, this.url, 'writing');
    } finally {
      await file.discard();
    }
  }

  async upload(signal?: AbortSignal): Promise<Upload> {
    throwIfAborted(signal);
    const file = await this.#newFile();
    return {
      write: async (bytes) => {
        throwIfAborted(signal);
        try {
          await file.write(bytes);
        } catch (error) {
          throw asTarnError(error, `writing an object in '${this.url}'`);
        }
      },
      finish: async (key, { replace = false } = {}) => {
        try {
          throwIfAborted(signal);
          return await this.#finish(file, key, replace);
        } catch (error) {
          throw objectFault(error, key, this.url, 'writing');
        } finally {
          await file.discard();
        }
      },
      abort: () => file.discard(),
    };
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    const path = this.localPath(key);
    throwIfAborted(signal);
    try {
      return await headFile(key, path);
    } catch (error) {
      throw objectFault(error, key, this.url, 'looking up');
    }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    yield* this.#walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, options);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    const path = this.localPath(key);
    throwIfAborted(signal);
    this.#openFiles.forget(path);
    try {
      await unlink(path);
      await this.#directories.sync(dirname(path));
    } catch (error) {
      if (!isMissing(error)) throw objectFault(error, key, this.url, 'deleting');
    }
  }

  localPath(key: string): string {
    checkKey(key);
    return `${this.url}/${key}`;
  }

  async close(): Promise<void> {
    this.#openFiles.close();
  }

  async #newFile(): Promise<PendingFile> {
    const directory = join(this.url, RESERVED);
    try {
      await this.#directories.ensure(directory);
      return await PendingFile.create(join(directory, tempName()));
    } catch (error) {
      throw asTarnError(error, `writing an object in '${this.url}'`);
    }
  }

  async #finish(file: PendingFile, key: string, replace: boolean): Promise<UploadedObject> {
    const path = this.localPath(key);
    const info = await file.complete();
    await this.#directories.ensure(dirname(path));
    if (replace) await rename(file.path, path);
    const created = replace || (await linkNew(file.path, path));
    await this.#directories.sync(dirname(path));
    if (created) return { key, ...info, created };
    const kept = await headFile(key, path);
    return { key, ...(kept ?? info), created };
  }

  /** Whether the object is there, and then durable: whoever made it may not have got so far. */
  async #settled(path: string): Promise<boolean> {
    if ((await headFile('', path)) === undefined) return false;
    await this.#directories.sync(dirname(path));
    return true;
  }

  async *#walk(base: string, prefix: string, options: ListOptions): AsyncIterable<ObjectInfo> {
    const { after = '', signal } = options;
    throwIfAborted(signal);
    for (const key of await this.#children(base)) {
      if (key.endsWith('/')) {
        const holdsPrefix = key.startsWith(prefix) || prefix.startsWith(key);
        const holdsLater = key > after || after.startsWith(key);
        if (holdsPrefix && holdsLater) yield* this.#walk(key, prefix, options);
      } else if (key.startsWith(prefix) && key > after && isKey(key)) {
        const info = await this.head(key, signal);
        if (info !== undefined) yield info;
      }
    }
  }

  /** What lies directly below `base`, sub-directories with a final `/`, in the order of their keys. */
  async #children(base: string): Promise<string[]> {
    try {
      const found = await readdir(join(this.url, base), { withFileTypes: true });
      const keys = found.map((child) => `${base}${child.name}${child.isDirectory() ? '/' : ''}`);
      return keys.filter((key) => key !== `${RESERVED}/`).sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw asTarnError(error, `listing '${base}' in '${this.url}'`);
    }
  }
}

async function headFile(key: string, path: string): Promise<ObjectInfo | undefined> {
  try {
    const found = await stat(path, { bigint: true });
    if (!found.isFile()) return undefined;
    const etag = etagOf(found.ino, found.size, found.mtimeNs);
    return { key, size: Number(found.size), etag };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Two turns of the thread pool, where fs.readFile takes four: most objects read are small nodes. */
async function readWhole(path: string): Promise<Uint8Array> {
  const fd = await openFile(path, 'r');
  try {
    return await readAt(fd, 0, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}

async function readTagged(path: string): Promise<TaggedObject> {
  const fd = await openFile(path, 'r');
  try {
    const { ino, size, mtimeNs } = fstatSync(fd, { bigint: true });
    const bytes = await readAt(fd, 0, Number(size));
    return { bytes, etag: etagOf(ino, size, mtimeNs) };
  } finally {
    closeSync(fd);
  }
}

/** False when the name is taken. */
async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
