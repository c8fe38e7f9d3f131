import { TarnError } from '../util/errors.js';
import type { Commit } from './commit.js';
import type { CommitId, NodeId } from './ids.js';
import { sha256 } from './ids.js';

/**
 * The canonical bytes of a commit, as repo/FORMAT.md states them: lines of UTF-8 text, so that a
 * commit can be read with `cat`. Equal commits have equal bytes, and only those bytes decode.
 */

/** Bytes of UTF-8. */
export const MESSAGE_BYTES_MAX = 65_536;
export const AUTHOR_BYTES_MAX = 1_024;
/** Pairs, and bytes of all keys and values together. */
export const METADATA_KEYS_MAX = 256;
export const COMMIT_METADATA_BYTES_MAX = 65_536;
export const PARENTS_MAX = 64;
/** The furthest moment that JavaScript dates reach, both ways. */
export const DATE_MS_MAX = 8.64e15;
/** More than any commit within the limits has: JSON may write a byte as six. */
export const COMMIT_BYTES_MAX = 1_048_576;

const FIRST_LINE = 'tarn-commit 1';
const MAGIC = 'tarn-commit ';
const HASH = /^[0-9a-f]{64}$/;

export function commitIdOf(bytes: Uint8Array): CommitId {
  return sha256(bytes) as CommitId;
}

/** @throws TarnError invalid, naming the rule that the commit breaks */
export function encodeCommit(commit: Commit): Buffer {
  const broken = brokenRule(commit);
  if (broken !== undefined) throw new TarnError('invalid', `the commit ${broken}`);
  const lines = [FIRST_LINE, `tree ${commit.tree}`];
  for (const parent of commit.parents) lines.push(`parent ${parent}`);
  lines.push(`author ${commit.author}`, `date ${commit.dateMs}`);
  for (const pair of sortedMetadata(commit.metadata)) lines.push(`meta ${JSON.stringify(pair)}`);
  lines.push(`message ${Buffer.byteLength(commit.message)}`, commit.message);
  return Buffer.from(lines.join('\n'), 'utf8');
}

/**
 * The commit that `bytes` encode.
 * @throws TarnError corrupt, naming the commit, when the bytes are not the ones that `id` names or
 *   are not canonical; unsupported when a newer tarn wrote them
 */
export function decodeCommit(id: CommitId, bytes: Uint8Array): Commit {
  const actual = commitIdOf(bytes);
  if (actual !== id) throw corrupt(id, `its bytes have the hash ${actual}`);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  const lines = new Lines(id, text);
  const first = lines.next();
  if (first.startsWith(MAGIC) && first !== FIRST_LINE) {
    throw new TarnError('unsupported', `commit ${id} was written by a newer tarn ('${first}')`, {
      hint: 'update tarn on this machine',
    });
  }
  if (first !== FIRST_LINE) throw corrupt(id, `it does not begin with '${FIRST_LINE}'`);
  const commit = readCommit(id, lines);
  const broken = brokenRule(commit);
  if (broken !== undefined) throw corrupt(id, `it ${broken}`);
  if (!encodeCommit(commit).equals(bytes)) throw corrupt(id, 'its bytes are not canonical');
  return commit;
}

function readCommit(id: CommitId, lines: Lines): Commit {
  const tree = lines.field('tree') as NodeId;
  const parents: CommitId[] = [];
  while (lines.startsWith('parent ')) parents.push(lines.field('parent') as CommitId);
  const author = lines.field('author');
  const dateMs = parseInteger(id, lines.field('date'));
  const pairs: [string, string][] = [];
  while (lines.startsWith('meta ')) pairs.push(parsePair(id, lines.field('meta')));
  parseInteger(id, lines.field('message'));
  const metadata = Object.fromEntries(pairs);
  return { tree, parents, author, dateMs, message: lines.rest(), metadata };
}

function sortedMetadata(metadata: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(metadata).sort(([a], [b]) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
}

/** What is wrong with the commit, to follow "the commit"; undefined when nothing is. */
function brokenRule(commit: Commit): string | undefined {
  if (!HASH.test(commit.tree)) return `has a tree id that is not 64 hex digits`;
  if (commit.parents.length > PARENTS_MAX) {
    return `has ${commit.parents.length} parents, at most ${PARENTS_MAX} are allowed`;
  }
  if (commit.parents.some((id) => !HASH.test(id)))
    return 'has a parent id that is not 64 hex digits';
  if (new Set(commit.parents).size !== commit.parents.length) return 'names one parent twice';
  if (!Number.isSafeInteger(commit.dateMs) || Math.abs(commit.dateMs) > DATE_MS_MAX) {
    return `has the date ${commit.dateMs}, not whole milliseconds that a date can hold`;
  }
  return (
    brokenAuthor(commit.author) ?? brokenMessage(commit.message) ?? brokenMetadata(commit.metadata)
  );
}

function brokenAuthor(author: string): string | undefined {
  if (author.trim() === '') return 'has no author';
  if (!author.isWellFormed() || /\p{Cc}/u.test(author)) {
    return 'has an author that is not one line of plain text';
  }
  const bytes = Buffer.byteLength(author);
  if (bytes <= AUTHOR_BYTES_MAX) return undefined;
  return `has an author of ${bytes} bytes, at most ${AUTHOR_BYTES_MAX} are allowed`;
}

function brokenMessage(message: string): string | undefined {
  if (!message.isWellFormed()) return 'has a message that is not valid Unicode';
  const bytes = Buffer.byteLength(message);
  if (bytes <= MESSAGE_BYTES_MAX) return undefined;
  return `has a message of ${bytes} bytes, at most ${MESSAGE_BYTES_MAX} are allowed`;
}

function brokenMetadata(metadata: Readonly<Record<string, string>>): string | undefined {
  const pairs = Object.entries(metadata);
  if (pairs.length > METADATA_KEYS_MAX) {
    return `has ${pairs.length} metadata keys, at most ${METADATA_KEYS_MAX} are allowed`;
  }
  let bytes = 0;
  for (const [key, value] of pairs) {
    if (key === '') return 'has metadata without a key';
    if (!key.isWellFormed() || !value.isWellFormed()) {
      return `has metadata '${key}' that is not valid Unicode`;
    }
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes <= COMMIT_METADATA_BYTES_MAX) return undefined;
  return `has ${bytes} bytes of metadata, at most ${COMMIT_METADATA_BYTES_MAX} are allowed`;
}

/** Reads line by line; a line that is missing is a fault of the commit. */
class Lines {
  readonly #id: CommitId;
  readonly #text: string;
  #at = 0;

  constructor(id: CommitId, text: string) {
    this.#id = id;
    this.#text = text;
  }

  next(): string {
    const end = this.#text.indexOf('\n', this.#at);
    if (end < 0) throw corrupt(this.#id, 'it ends early');
    const line = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return line;
  }

  startsWith(start: string): boolean {
    return this.#text.startsWith(start, this.#at);
  }

  /** The value of the next line, which must be that field. */
  field(name: string): string {
    if (!this.startsWith(`${name} `)) throw corrupt(this.#id, `its line '${name}' is missing`);
    return this.next().slice(name.length + 1);
  }

  rest(): string {
    return this.#text.slice(this.#at);
  }
}

function parsePair(id: CommitId, text: string): [string, string] {
  try {
    const pair: unknown = JSON.parse(text);
    if (
      Array.isArray(pair) &&
      pair.length === 2 &&
      pair.every((part) => typeof part === 'string')
    ) {
      return pair as [string, string];
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw corrupt(id, `'${text.slice(0, 80)}' is not a pair of JSON strings`);
}

function parseInteger(id: CommitId, text: string): number {
  if (!/^-?[0-9]{1,16}$/.test(text)) throw corrupt(id, `'${text.slice(0, 80)}' is not an integer`);
  return Number(text);
}

function corrupt(id: CommitId, why: string): TarnError {
  return new TarnError('corrupt', `commit ${id} is damaged: ${why}`, {
    hint: `restore the object commits/${id.slice(0, 2)}/${id} from a copy of the repository`,
  });
}
