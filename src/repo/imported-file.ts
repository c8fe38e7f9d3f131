import { close, constants, fstatSync, open } from 'node:fs';
import { promisify } from 'node:util';
import type { FilePin } from '../model/entry.js';
import { pathOfUrl } from '../model/imported.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { readAt } from '../util/files.js';
import { isoTime } from '../util/iso-time.js';
import { tarnMountsNow } from '../util/mount-info.js';
import type { ImportedBytes } from './imported-bytes.js';

const openFile = promisify(open);
const closeFile = promisify(close);

/** Neither follows a symlink that took the file's place, nor hangs on a pipe that did. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const NANOSECONDS = 1_000_000_000n;
const BACK_HINT = "put it back as it was, or import it again with 'tarn import'";
const GONE = new Set(['ENOENT', 'ENOTDIR']);

/** How a file looks from outside. */
export interface FileLook {
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/**
 * A file that the repository only points at. It is opened for each read, so that what lies there now
 * is what is looked at.
 */
export class ImportedFile implements ImportedBytes {
  readonly url: string;
  readonly path: string;
  readonly isFar = false;
  readonly #look: FileLook;

  /** @throws TarnError unsupported when the URL is not of a file */
  constructor(size: number, url: string, pin: FilePin) {
    const path = pathOfUrl(url);
    if (path === undefined) {
      throw new TarnError('unsupported', `a file was imported from '${url}'`, {
        hint: 'this tarn reads imported files from local paths and buckets only: install a newer one',
      });
    }
    this.url = url;
    this.path = path;
    this.#look = { size, mtimeSec: pin.mtimeSec, mtimeNsec: pin.mtimeNsec };
  }

  /** The pin is looked at before and after. */
  async read(start: number, end: number, mustBePinned: boolean): Promise<Uint8Array> {
    const fd = await this.#open();
    try {
      if (mustBePinned) this.#check(fd);
      const bytes = await readAt(fd, start, end - start);
      if (mustBePinned || bytes.length < end - start) this.#check(fd);
      if (bytes.length === end - start) return bytes;
      throw new TarnError('io', `'${this.path}' ends early while it is read`);
    } catch (error) {
      throw asTarnError(error, `reading the imported file '${this.path}'`);
    } finally {
      await closeFile(fd);
    }
  }

  async check(): Promise<void> {
    const fd = await this.#open();
    try {
      this.#check(fd);
    } finally {
      await closeFile(fd);
    }
  }

  async difference(start: number, end: number): Promise<TarnError> {
    try {
      await this.check();
    } catch (error) {
      return asTarnError(error);
    }
    return new TarnError(
      'corrupt',
      `the imported file '${this.path}' has changed: its bytes ${start} to ${end - 1} are not those that were imported, though its size and time are`,
      { hint: BACK_HINT },
    );
  }

  async #open(): Promise<number> {
    this.#refuseOwnMount();
    try {
      return await openFile(Buffer.from(this.path, 'utf8'), OPEN_FLAGS);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ELOOP') throw this.#changed('it is a symbolic link now', error);
      if (!GONE.has(code ?? '')) {
        throw asTarnError(error, `opening the imported file '${this.path}'`);
      }
      throw new TarnError('not-found', `the imported file '${this.path}' is not there`, {
        hint: `see whether its disk is mounted; otherwise ${BACK_HINT}`,
        cause: error,
      });
    }
  }

  /**
   * Through a mount of this very process it would wait for itself, with the threads that all other
   * reads need.
   */
  #refuseOwnMount(): void {
    const mount = tarnMountsNow().find(({ directory }) => this.path.startsWith(`${directory}/`));
    if (mount === undefined) return;
    throw new TarnError(
      'unavailable',
      `the imported file '${this.path}' is hidden by the mount at '${mount.directory}'`,
      { hint: `run 'tarn umount ${mount.directory}', or mount it on another directory` },
    );
  }

  #check(fd: number): void {
    const stats = fstatSync(fd, { bigint: true });
    if (!stats.isFile()) throw this.#changed('it is no file any more');
    const nsec = ((stats.mtimeNs % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
    const now = {
      size: Number(stats.size),
      mtimeSec: Number((stats.mtimeNs - nsec) / NANOSECONDS),
      mtimeNsec: Number(nsec),
    };
    const then = this.#look;
    const isSame =
      now.size === then.size && now.mtimeSec === then.mtimeSec && now.mtimeNsec === then.mtimeNsec;
    if (isSame) return;
    throw this.#changed(`it had ${lookOf(then)} when it was imported, and has ${lookOf(now)} now`);
  }

  #changed(how: string, cause?: unknown): TarnError {
    return new TarnError('corrupt', `the imported file '${this.path}' has changed: ${how}`, {
      hint: BACK_HINT,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

function lookOf({ size, mtimeSec, mtimeNsec }: FileLook): string {
  return `${size} bytes of ${isoTime(mtimeSec, mtimeNsec)}`;
}
