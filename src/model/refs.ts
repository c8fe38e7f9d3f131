import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import type { CommitId } from './ids.js';
import { parseCommitId } from './ids.js';
import type { Time } from './time.js';
import { formatTime, parseTime } from './time.js';

/**
 * Names of refs, and the expressions by which a user names a commit.
 *
 * An expression is a branch, a tag, a commit id or a unique prefix of one (at least 4 hex digits),
 * then optionally `@` or `@{TIME}`, then any number of `~N` (N first parents back) and `^N` (the Nth
 * parent; `^0` is the commit itself). `~` and `^` alone mean `~1` and `^1`. A bare branch means its
 * workspace, what is uncommitted included; `branch@` is its last commit alone; `branch@{TIME}` is
 * what its record says it was then (model/time.ts has the forms of TIME).
 *
 * A branch and a tag never share a name. A name wins over a commit prefix of the same digits, so
 * that a new commit never changes what a name means; a name of 64 hex digits is refused, so that a
 * whole commit id always means that commit.
 */
export interface RefExpression {
  /** As it was written. */
  readonly text: string;
  /** The branch, tag, commit id or prefix that it begins with. */
  readonly base: string;
  /** Written with `@`: only what is committed. */
  readonly committed: boolean;
  /** Written with `@{…}`: as the branch or tag was then. */
  readonly at?: Time;
  readonly steps: readonly RefStep[];
}

export type RefStep =
  /** So many first parents back. */
  | { readonly kind: 'ancestor'; readonly count: number }
  /** The parent of that number, from 1; 0 is the commit itself. */
  | { readonly kind: 'parent'; readonly number: number };

export const REF_NAME_LENGTH_MAX = 255;
/** Fewest hex digits that name a commit. */
export const COMMIT_PREFIX_MIN = 4;
/** Furthest that one `~N` goes back. */
export const ANCESTOR_MAX = 1_000_000;
const STEPS_MAX = 64;

const BRANCH = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const EXPRESSION = /^([A-Za-z0-9_][A-Za-z0-9._-]*)(@?)(?:(?<=@)\{([^{}]*)\})?((?:[~^][0-9]*)*)$/;
const WHOLE_ID = /^[0-9a-f]{64}$/;

/** @throws TarnError invalid */
export function parseBranchName(text: string): string {
  checkName('branch', text, BRANCH, "letters, digits, '_' and '-'");
  return text;
}

/** @throws TarnError invalid */
export function parseTagName(text: string): string {
  checkName('tag', text, TAG, "letters, digits, '_', '-' and '.'");
  return text;
}

function checkName(what: string, text: string, rule: RegExp, allowed: string): void {
  if (!rule.test(text)) {
    throw new TarnError('invalid', `'${printable(text)}' is not a ${what} name`, {
      hint: `a ${what} name has ${allowed}, and begins with a letter, a digit or '_'`,
    });
  }
  if (text.length > REF_NAME_LENGTH_MAX) {
    throw new TarnError(
      'invalid',
      `the ${what} name '${printable(text)}' has ${text.length} characters, at most ${REF_NAME_LENGTH_MAX} are allowed`,
    );
  }
  if (WHOLE_ID.test(text)) {
    throw new TarnError('invalid', `the ${what} name '${text}' could not be told from a commit id`);
  }
}

/** @throws TarnError invalid */
export function parseRefExpression(text: string): RefExpression {
  const match = EXPRESSION.exec(text);
  const base = match?.[1];
  if (match === null || base === undefined || base.length > REF_NAME_LENGTH_MAX) {
    throw new TarnError('invalid', `'${printable(text)}' is not a ref`, {
      hint: 'a ref is a branch, a tag or a commit id of at least 4 digits, with ~N or ^N for ancestors; branch@ is what is committed, branch@{2025-06-14 17:30} what it was then',
    });
  }
  const [, , sign, time, suffixes = ''] = match;
  return {
    text,
    base,
    committed: sign === '@',
    ...(time === undefined ? {} : { at: parseTime(time) }),
    steps: parseSteps(text, suffixes),
  };
}

/** Text that parseRefExpression reads as an expression of these parts. */
export function formatRefExpression({
  base,
  committed,
  at,
  steps,
}: Omit<RefExpression, 'text'>): string {
  const time = at === undefined ? '' : `{${formatTime(at)}}`;
  const back = steps.map((step) =>
    step.kind === 'ancestor' ? `~${step.count}` : `^${step.number}`,
  );
  return `${base}${committed ? '@' : ''}${time}${back.join('')}`;
}

function parseSteps(text: string, suffixes: string): RefStep[] {
  const steps: RefStep[] = [];
  for (const [, sign, digits = ''] of suffixes.matchAll(/([~^])([0-9]*)/g)) {
    const n = digits === '' ? 1 : Number(digits);
    if (n > ANCESTOR_MAX || steps.length === STEPS_MAX) {
      throw new TarnError('invalid', `the ref '${printable(text)}' goes back too far`, {
        hint: `one ~N reaches at most ${ANCESTOR_MAX} commits back, a ref has at most ${STEPS_MAX} of ~ and ^; use the commit's id`,
      });
    }
    steps.push(sign === '~' ? { kind: 'ancestor', count: n } : { kind: 'parent', number: n });
  }
  return steps;
}

/** How many commits its steps go back at most. */
export function reachOf({ steps }: RefExpression): number {
  return steps.reduce((sum, step) => sum + (step.kind === 'ancestor' ? step.count : 1), 0);
}

/** The commit id that `base` spells in full, if it does. */
export function wholeCommitId(base: string): CommitId | undefined {
  return WHOLE_ID.test(base) ? parseCommitId(base) : undefined;
}

export function isCommitPrefix(base: string): boolean {
  return base.length >= COMMIT_PREFIX_MIN && base.length < 64 && /^[0-9a-f]+$/.test(base);
}
