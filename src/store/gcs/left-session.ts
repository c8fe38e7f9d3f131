import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** As long as the store keeps what came of an upload. */
const KEPT_MS = 7 * 86_400_000;

/** An upload that was begun: its address, which lets whoever has it write that one object. */
export interface LeftSession {
  /** URL. */
  readonly session: string;
  /** Bytes from the start that the store has said that it has. */
  readonly sent: number;
}

/**
 * What this machine knows of one upload under way, in a file of its user's alone: Google Cloud tells
 * nobody of them. That it cannot be kept or read costs no more than sending all parts again.
 */
export class LeftUpload {
  readonly #directory: string;
  readonly #path: string;

  /**
   * @param directory made where it is missing
   * @param what the object and all that the upload was begun with: another has another upload
   */
  constructor(directory: string, what: readonly string[]) {
    this.#directory = directory;
    const name = createHash('sha256').update(JSON.stringify(what)).digest('hex');
    this.#path = join(directory, name);
  }

  async find(): Promise<LeftSession | undefined> {
    if (await isOld(this.#path)) return undefined;
    try {
      const found = JSON.parse(await readFile(this.#path, 'utf8')) as Partial<LeftSession>;
      const { session, sent } = found;
      const isWhole = typeof session === 'string' && Number.isSafeInteger(sent);
      return isWhole ? { session, sent: sent as number } : undefined;
    } catch {
      return undefined;
    }
  }

  async keep(left: LeftSession): Promise<void> {
    const early = `${this.#path}.${process.pid}`;
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await writeFile(early, JSON.stringify(left), { mode: 0o600 });
      await rename(early, this.#path);
    } catch {
      await rm(early, { force: true }).catch(() => undefined);
    }
  }

  /** That of others, too, which the store has forgotten. */
  async forget(): Promise<void> {
    await rm(this.#path, { force: true }).catch(() => undefined);
    for (const name of await readdir(this.#directory).catch(() => [])) {
      const path = join(this.#directory, name);
      if (await isOld(path)) await rm(path, { force: true }).catch(() => undefined);
    }
  }
}

async function isOld(path: string): Promise<boolean> {
  const changedMs = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Infinity,
  );
  return Date.now() - changedMs > KEPT_MS;
}
