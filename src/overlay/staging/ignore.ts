import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import { TarnError } from '../../util/errors.js';
import type { PathMatcher } from '../../util/glob.js';
import { parseGlob } from '../../util/glob.js';

/** At the root of a branch: patterns of names that a commit leaves out. */
export const IGNORE_FILE = '.tarnignore';
/** Bytes of it that are read. */
export const IGNORE_BYTES_MAX = 1_048_576;

/** What editors and systems leave beside the files that they edit. */
export const IGNORED_BY_DEFAULT = [
  '*.swp',
  '.*.sw?',
  '.#*',
  '.~lock.*#',
  '.DS_Store',
  '._*',
  '.nfs*',
  '.fuse_hidden*',
  '.Trash-*/',
  'Thumbs.db',
] as const;

interface Rule {
  readonly matches: PathMatcher;
  /** Held against the last component only. */
  readonly isName: boolean;
  readonly onlyDirectories: boolean;
  readonly ignores: boolean;
}

/** Which new names stay out of what is staged: the last rule that a path matches counts. */
export class IgnoreRules {
  readonly #rules: Rule[] = [];
  /** Lines that are no patterns, and why. */
  readonly mistakes: string[] = [];

  /** @param text of the IGNORE_FILE, which goes on after the defaults */
  constructor(text = '') {
    for (const pattern of IGNORED_BY_DEFAULT) this.#rules.push(ruleOf(pattern));
    for (const [index, line] of text.split('\n').entries()) {
      const pattern = line.trim();
      if (pattern === '' || pattern.startsWith('#')) continue;
      try {
        this.#rules.push(ruleOf(pattern));
      } catch (error) {
        if (!(error instanceof TarnError)) throw error;
        this.mistakes.push(`line ${index + 1}: ${error.message}`);
      }
    }
  }

  /** @param path of a file, or of a directory with its final `/` */
  ignores(path: Key): boolean {
    const isDirectory = path.endsWith('/');
    const text = keyToText((isDirectory ? path.slice(0, -1) : path) as Key);
    const name = text.slice(text.lastIndexOf('/') + 1);
    const last = this.#rules.findLast(
      ({ matches, isName, onlyDirectories }) =>
        (isDirectory || !onlyDirectories) && matches(isName ? name : text),
    );
    return last?.ignores === true;
  }
}

/** @throws TarnError invalid */
function ruleOf(line: string): Rule {
  const ignores = !line.startsWith('!');
  let pattern = ignores ? line : line.slice(1);
  const onlyDirectories = pattern.endsWith('/');
  if (onlyDirectories) pattern = pattern.slice(0, -1);
  const isName = !pattern.includes('/');
  if (pattern.startsWith('/')) pattern = pattern.slice(1);
  return { matches: parseGlob(pattern), isName, onlyDirectories, ignores };
}
