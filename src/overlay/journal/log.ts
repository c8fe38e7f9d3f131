import {
  closeSync,
  fsync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { asTarnError, TarnError } from '../../util/errors.js';
import { decodeChange, encodeChange, NetChange, type JournalChange } from './change.js';
import { checksum, DAMAGED_HINT } from './rows.js';

const INFIX = '-log-';
const NUMBER_DIGITS = 16;
const CHECKSUM_DIGITS = 12;
const NEWLINE = 0x0a;

/** A file of the log. */
interface Part {
  readonly path: string;
  /** Number of its first change. */
  readonly first: number;
}

/**
 * Numbered changes, one after the other, in files beside the database that they are brought into
 * (OVERLAY.md, Journal). What was added survives the end of the process, and a power cut once synced.
 */
export class ChangeLog {
  readonly #journal: string;
  #next: number;
  /** Below it all would survive a power cut. */
  #synced: number;
  #fd: number | undefined;
  #bytes = 0;
  /** Parts that are not written any more, and may not be on the disk. */
  #ended: { readonly fd: number; readonly next: number }[] = [];
  #isFolderSynced = true;
  /** What syncs or closes, one after the other; never rejects. */
  #queue: Promise<unknown> = Promise.resolve();

  /** @param next number of the next change: what is there of it and later ones is removed */
  constructor(journal: string, next: number) {
    this.#journal = journal;
    this.#next = next;
    // Of the changes before it nobody knows whether the process that wrote them has synced them.
    this.#synced = -1;
    for (const { path, first } of partsOf(journal)) if (first >= next) rmSync(path);
  }

  /** Number of the next change. */
  get next(): number {
    return this.#next;
  }

  /** In the part that is being written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws TarnError no-space, io; then the log is as it was */
  add(change: JournalChange): void {
    const text = `${this.#next} ${encodeChange(change)}`;
    const line = Buffer.from(`${sumOf(text)} ${text}\n`);
    try {
      this.#fd ??= this.#begin();
      writeAll(this.#fd, line);
    } catch (error) {
      this.#takeBack();
      throw asTarnError(error, `writing the log of '${this.#journal}'`);
    }
    this.#bytes += line.length;
    this.#next += 1;
  }

  /** The next change begins a new part. */
  endPart(): void {
    if (this.#fd === undefined) return;
    this.#ended.push({ fd: this.#fd, next: this.#next });
    this.#fd = undefined;
    this.#bytes = 0;
  }

  /**
   * Resolves when all that was added would survive a power cut.
   * @throws TarnError io, no-space
   */
  sync(): Promise<void> {
    const next = this.#next;
    return this.#inTurn(() => this.#sync(next));
  }

  /** The changes before `next` are kept elsewhere now. */
  forget(next: number): Promise<void> {
    return this.#inTurn(() => this.#closeEnded(next));
  }

  /** Nothing may be under way. */
  close(): void {
    this.endPart();
    this.#closeEnded(Infinity);
  }

  async #sync(next: number): Promise<void> {
    if (this.#synced >= next) return;
    try {
      await this.#syncParts();
    } catch (error) {
      throw asTarnError(error, `syncing the log of '${this.#journal}'`);
    }
    this.#synced = next;
    this.#closeEnded(next);
  }

  async #syncParts(): Promise<void> {
    const ended = [...this.#ended];
    const fd = this.#fd;
    // Of a process before this one.
    if (this.#synced < 0) for (const { path } of partsOf(this.#journal)) await syncPath(path);
    for (const part of ended) await promisify(fsync)(part.fd);
    if (fd !== undefined) await promisify(fsync)(fd);
    if (this.#isFolderSynced) return;
    this.#isFolderSynced = true;
    await syncPath(dirname(this.#journal));
  }

  #closeEnded(next: number): void {
    const isOver = (part: { readonly next: number }): boolean => part.next <= next;
    for (const { fd } of this.#ended.filter(isOver)) closeSync(fd);
    this.#ended = this.#ended.filter((part) => !isOver(part));
  }

  #begin(): number {
    this.#isFolderSynced = false;
    return openSync(partPath(this.#journal, this.#next), 'ax', 0o600);
  }

  /** A part whose end cannot be taken back is not written any more: reading it stops there. */
  #takeBack(): void {
    if (this.#fd === undefined) return;
    try {
      ftruncateSync(this.#fd, this.#bytes);
    } catch {
      this.endPart();
    }
  }

  #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }
}

/**
 * What the changes from number `first` on come to, as far as the log has them one after the other:
 * what a power cut took was not synced, nor what came after it.
 * @param before number of the first change that is left out
 * @throws TarnError corrupt when a change is not as it was written; io
 */
export function readLog(
  journal: string,
  first: number,
  before = Infinity,
): { readonly net: NetChange; readonly next: number } {
  const net = new NetChange();
  let next = first;
  for (const part of partsOf(journal)) {
    if (part.first > next || part.first >= before) break;
    for (const { number, change } of changesIn(part)) {
      if (number < next) continue;
      net.add(change);
      next = number + 1;
    }
  }
  return { net, next };
}

/** Removes the parts that begin before a number. */
export function removeParts(journal: string, before: number): void {
  for (const { path, first } of partsOf(journal)) if (first < before) rmSync(path, { force: true });
}

/** In the order of their changes. */
function partsOf(journal: string): Part[] {
  const folder = dirname(journal);
  const start = `${basename(journal)}${INFIX}`;
  const names = readdirSync(folder).filter((name) => name.startsWith(start));
  return names
    .map((name) => ({ path: join(folder, name), first: Number(name.slice(start.length)) }))
    .filter(({ first }) => Number.isSafeInteger(first))
    .sort((a, b) => a.first - b.first);
}

function partPath(journal: string, first: number): string {
  return `${journal}${INFIX}${String(first).padStart(NUMBER_DIGITS, '0')}`;
}

function* changesIn({
  path,
  first,
}: Part): Generator<{ readonly number: number; readonly change: JournalChange }> {
  const bytes = readFileSync(path);
  let number = first;
  for (let at = 0; at < bytes.length; number += 1) {
    const end = bytes.indexOf(NEWLINE, at);
    // The end of a process cut it short, or it was taken back in part: it was never answered.
    if (end < 0) return;
    const line = bytes.subarray(at, end);
    const change = changeOf(line, number);
    if (change === undefined) {
      // No change has a zero in it, but what a power cut left out of a file has nothing else.
      if (line.includes(0)) return;
      throw damaged(path, number);
    }
    yield { number, change };
    at = end + 1;
  }
}

/** Undefined where the line is not change `number` as it was written. */
function changeOf(line: Buffer, number: number): JournalChange | undefined {
  const text = line.subarray(CHECKSUM_DIGITS + 1);
  if (line.toString('latin1', 0, CHECKSUM_DIGITS) !== sumOf(text)) return undefined;
  const numbered = text.toString('utf8');
  const start = `${number} `;
  return numbered.startsWith(start) ? decodeChange(numbered.slice(start.length)) : undefined;
}

function sumOf(text: string | Buffer): string {
  return checksum(text).toString(16).padStart(CHECKSUM_DIGITS, '0');
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    // Brought into the database meanwhile.
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

function damaged(path: string, number: number): TarnError {
  return new TarnError(
    'corrupt',
    `the log '${path}' is damaged: change ${number} is not as it was written`,
    { hint: DAMAGED_HINT },
  );
}
