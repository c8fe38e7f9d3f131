import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import { REF_NAME_LENGTH_MAX } from './refs.js';

/**
 * Names of branches or tags, for rules about them: a name, in which `*` stands for any run of
 * characters. No ref need bear such a name yet.
 */
const BRANCHES = /^[A-Za-z0-9_*][A-Za-z0-9_*-]*$/;
const TAGS = /^[A-Za-z0-9_*][A-Za-z0-9._*-]*$/;

/** @throws TarnError invalid */
export function parseBranchPattern(text: string): string {
  return checked('branch', text, BRANCHES, "letters, digits, '_', '-' and '*'");
}

/** @throws TarnError invalid */
export function parseTagPattern(text: string): string {
  return checked('tag', text, TAGS, "letters, digits, '_', '-', '.' and '*'");
}

/** Whether `name` is one that `pattern` stands for; at most the product of their lengths. */
export function matchesName(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

/** A name that the pattern stands for, to try rules with. */
export function sampleName(pattern: string): string {
  return pattern.replaceAll('*', '') || 'any';
}

function checked(what: string, text: string, rule: RegExp, allowed: string): string {
  if (rule.test(text) && text.length <= REF_NAME_LENGTH_MAX) return text;
  throw new TarnError('invalid', `'${printable(text)}' is no name or pattern of a ${what}`, {
    hint: `it has ${allowed}, at most ${REF_NAME_LENGTH_MAX} characters, as in prod-*`,
  });
}
