import { TarnError } from './errors.js';
import { printable } from './printable.js';

/**
 * Patterns of paths, as options take them. A pattern is held against the whole path:
 *
 * - `*` is any run of characters within one component, `?` is one character;
 * - `**` as a whole component is any number of components, at the end at least one: `labels/**` is
 *   all below `labels`, and `raw/**` then `/a.mcap` also matches `raw/a.mcap`;
 * - `[abc]`, `[a-z]` and `[!abc]` are one character of, or not of, a set;
 * - `{json,yaml}` is one or the other; braces may nest;
 * - a final `/` stands for `/**`, and `\` takes the character behind it as it is.
 *
 * No wildcard but `**` crosses a `/`. A name that begins with `.` is a name like any other.
 * Matching takes at most the product of both lengths, whatever the pattern.
 */
export type PathMatcher = (path: string) => boolean;

export const PATTERN_CHARS_MAX = 4_096;
/** Patterns that the braces of one may stand for. */
const ALTERNATIVES_MAX = 256;

/** @throws TarnError invalid, saying what is wrong with the pattern */
export function parseGlob(pattern: string): PathMatcher {
  if (pattern === '') throw refusal(pattern, 'is empty');
  if (pattern.length > PATTERN_CHARS_MAX) throw refusal(pattern, 'is too long');
  const alternatives = expandBraces(pattern).map((each) => parseParts(each, pattern));
  return (path) => {
    const components = path.split('/');
    return alternatives.some((parts) => matchesAll(parts, components, matchesComponent));
  };
}

const ANY_COMPONENTS = '**';
type Part = typeof ANY_COMPONENTS | readonly Token[];

const ANY_RUN = '*';
/** What one character must be, or a run of any. */
type Token = typeof ANY_RUN | ((char: string) => boolean);

function parseParts(text: string, pattern: string): Part[] {
  const parts = splitComponents(text.endsWith('/') ? `${text}**` : text).map((part) =>
    part === ANY_COMPONENTS ? part : parseComponent(part, pattern),
  );
  // What is below a directory is not the directory: one component at least.
  return parts.at(-1) === ANY_COMPONENTS ? [...parts, [ANY_RUN]] : parts;
}

/** The pattern with each choice of its braces, which never reach the rest of the parser. */
function expandBraces(pattern: string): string[] {
  const open = findBare(pattern, '{', 0);
  if (open < 0) return [pattern];
  const choices: string[] = [];
  let depth = 0;
  let start = open + 1;
  for (let at = open; at < pattern.length; at += 1) {
    const char = pattern[at];
    if (char === '\\') at += 1;
    else if (char === '{') depth += 1;
    else if (char === ',' && depth === 1) {
      choices.push(pattern.slice(start, at));
      start = at + 1;
    } else if (char === '}') {
      depth -= 1;
      if (depth > 0) continue;
      choices.push(pattern.slice(start, at));
      const [before, behind] = [pattern.slice(0, open), pattern.slice(at + 1)];
      return limited(
        pattern,
        choices.flatMap((choice) => expandBraces(before + choice + behind)),
      );
    }
  }
  throw refusal(pattern, "has a '{' without '}'");
}

function limited(pattern: string, alternatives: string[]): string[] {
  if (alternatives.length <= ALTERNATIVES_MAX) return alternatives;
  throw refusal(pattern, `stands for more than ${ALTERNATIVES_MAX} patterns by its braces`);
}

/** Where `char` is, not behind a `\`; -1 when nowhere. */
function findBare(text: string, char: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === char) return at;
  }
  return -1;
}

function splitComponents(pattern: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (;;) {
    const end = findBare(pattern, '/', start);
    if (end < 0) return [...parts, pattern.slice(start)];
    parts.push(pattern.slice(start, end));
    start = end + 1;
  }
}

function parseComponent(text: string, pattern: string): Token[] {
  const chars = [...text];
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] as string;
    if (char === '*') tokens.push(ANY_RUN);
    else if (char === '?') tokens.push(() => true);
    else if (char === '[') {
      const set = parseSet(chars, at + 1, pattern);
      tokens.push(set.has);
      at = set.end;
    } else {
      if (char === '\\') at += 1;
      const literal = chars[at];
      if (literal === undefined) throw refusal(pattern, "ends with '\\'");
      tokens.push((each) => each === literal);
    }
  }
  return tokens;
}

/** The set that begins at `from`, behind its `[`; `end` is where its `]` is. */
function parseSet(
  chars: readonly string[],
  from: number,
  pattern: string,
): { has: (char: string) => boolean; end: number } {
  const isNegated = chars[from] === '!' || chars[from] === '^';
  const first = isNegated ? from + 1 : from;
  const ranges: [string, string][] = [];
  let at = first;
  const next = (): string => {
    if (chars[at] === '\\') at += 1;
    const char = chars[at];
    if (char === undefined) throw refusal(pattern, "has a '[' without ']'");
    at += 1;
    return char;
  };
  while (chars[at] !== ']' || at === first) {
    const low = next();
    const isRange = chars[at] === '-' && chars[at + 1] !== ']';
    if (isRange) at += 1;
    ranges.push([low, isRange ? next() : low]);
  }
  const isIn = (char: string): boolean =>
    ranges.some(([low, high]) => order(low) <= order(char) && order(char) <= order(high));
  return { has: (char) => isIn(char) !== isNegated, end: at };
}

function order(char: string): number {
  return char.codePointAt(0) as number;
}

function matchesComponent(part: Part, component: string): boolean {
  return part !== ANY_COMPONENTS && matchesAll(part, [...component], matchesToken);
}

function matchesToken(token: Token, char: string): boolean {
  return token !== ANY_RUN && token(char);
}

/**
 * Whether `pattern` covers all of `items`, where an ANY_ element covers any run of them. A later
 * run can make up for whatever an earlier one could, so only the last is ever tried again.
 */
function matchesAll<P, T>(
  pattern: readonly P[],
  items: readonly T[],
  matches: (element: P, item: T) => boolean,
): boolean {
  let [at, item] = [0, 0];
  let run: { at: number; item: number } | undefined;
  while (item < items.length) {
    const element = pattern[at];
    if (element === ANY_RUN || element === ANY_COMPONENTS) {
      run = { at, item };
      at += 1;
    } else if (element !== undefined && matches(element, items[item] as T)) {
      at += 1;
      item += 1;
    } else if (run !== undefined) {
      run.item += 1;
      at = run.at + 1;
      item = run.item;
    } else return false;
  }
  while (pattern[at] === ANY_RUN || pattern[at] === ANY_COMPONENTS) at += 1;
  return at === pattern.length;
}

function refusal(pattern: string, what: string): TarnError {
  return new TarnError('invalid', `the pattern '${printable(pattern)}' ${what}`, {
    hint: "'*' stands within a component, '**' across, as in labels/** or raw/*/camera-?.mcap",
  });
}
