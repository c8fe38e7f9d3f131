import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import { parseBranchPattern } from './name-pattern.js';
import type { Key } from './path.js';
import { parseKey } from './path.js';
import type { RefExpression } from './refs.js';
import { parseBranchName, parseRefExpression, parseTagName } from './refs.js';
import { parseWorkspaceName } from './workspace-name.js';

/**
 * Addresses as users write them: `tarn://repository/ref/path`, where the scheme may be left out.
 * No name of a repository or ref holds a `/`, so an address is never ambiguous; the one in a time
 * zone stands in braces (`drive/main@{2025-06-14 17:30 Europe/Berlin}/raw`).
 */
export interface RefAddress {
  readonly repository: string;
  readonly ref: RefExpression;
}

export interface PathAddress extends RefAddress {
  /** Empty for the root; ends with `/` where the user wrote it so. */
  readonly path: Key;
}

const SCHEME = 'tarn://';
const REPOSITORY = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** @throws TarnError invalid */
export function parseRepositoryName(text: string): string {
  if (REPOSITORY.test(text)) return text;
  throw new TarnError('invalid', `'${printable(text)}' is not a repository name`, {
    hint: "a repository name has 1 to 63 lower-case letters, digits and '-', and does not begin with '-'",
  });
}

/**
 * `repository/ref` or `repository/ref/path`.
 * @throws TarnError invalid
 */
export function parseAddress(text: string): PathAddress {
  const { repository, rest } = split(text, 'tarn://drive/main/raw/run-8421');
  const slash = slashBehindRef(rest);
  const ref = slash < 0 ? rest : rest.slice(0, slash);
  const path = slash < 0 ? '' : rest.slice(slash + 1);
  return { repository, ref: parseRefExpression(ref), path: parseKey(path) };
}

/**
 * `repository/ref` without a path; where `repository` is known, `ref` may stand alone.
 * @throws TarnError invalid
 */
export function parseRefAddress(text: string, repository?: string): RefAddress {
  if (repository !== undefined && !text.startsWith(SCHEME) && slashBehindRef(text) < 0) {
    return { repository, ref: parseRefExpression(text) };
  }
  const named = splitName(text, 'drive/main');
  return { repository: named.repository, ref: parseRefExpression(named.name) };
}

/**
 * `repository/ref` without a path, or `repository` alone, for what takes all of it.
 * @throws TarnError invalid
 */
export function parseRepositoryOrRef(
  text: string,
): Pick<RefAddress, 'repository'> & Partial<RefAddress> {
  const bare = text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text;
  const name = bare.endsWith('/') ? bare.slice(0, -1) : bare;
  return REPOSITORY.test(name) ? { repository: name } : parseRefAddress(text);
}

/**
 * `repository/branch`, for what changes the branch.
 * @throws TarnError invalid
 */
export function parseBranchAddress(text: string): { repository: string; branch: string } {
  const { repository, name } = splitName(text, 'drive/main');
  return { repository, branch: parseBranchName(name) };
}

/**
 * `repository/branch`, or a private workspace on one, as `repository/branch+1`.
 * @throws TarnError invalid
 */
export function parseWorkspaceAddress(text: string): { repository: string; branch: string } {
  const { repository, name } = splitName(text, 'drive/main');
  return { repository, branch: parseWorkspaceName(name) };
}

/**
 * `repository/tag`.
 * @throws TarnError invalid
 */
export function parseTagAddress(text: string): { repository: string; tag: string } {
  const { repository, name } = splitName(text, 'drive/golden');
  return { repository, tag: parseTagName(name) };
}

/**
 * `repository/branch`, where the branch may be a pattern.
 * @throws TarnError invalid
 */
export function parseBranchPatternAddress(text: string): { repository: string; pattern: string } {
  const { repository, name } = splitName(text, 'drive/main');
  return { repository, pattern: parseBranchPattern(name) };
}

export function formatAddress(repository: string, ref: string, pathText: string): string {
  return pathText === ''
    ? `${SCHEME}${repository}/${ref}`
    : `${SCHEME}${repository}/${ref}/${pathText}`;
}

/** Where the ref that `text` begins with ends: the first `/` that is not in braces, or -1. */
function slashBehindRef(text: string): number {
  const [ref = ''] = /^[^/{]*(?:\{[^{}]*\}?[^/{]*)*/.exec(text) ?? [];
  return ref.length < text.length ? ref.length : -1;
}

function splitName(text: string, example: string): { repository: string; name: string } {
  const { repository, rest } = split(text, example);
  const name = rest.endsWith('/') ? rest.slice(0, -1) : rest;
  if (slashBehindRef(name) < 0) return { repository, name };
  throw new TarnError('invalid', `'${printable(text)}' goes on after the name of a ref`, {
    hint: `leave the path out, as in ${example}`,
  });
}

function split(text: string, example: string): { repository: string; rest: string } {
  const bare = text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text;
  if (/^[a-z0-9+.-]+:\/\//i.test(bare)) {
    throw new TarnError('invalid', `'${printable(text)}' is not an address of tarn`, {
      hint: `an address looks like ${example}`,
    });
  }
  const slash = bare.indexOf('/');
  if (slash < 0 || slash === bare.length - 1) {
    throw new TarnError('invalid', `'${printable(text)}' names no branch, tag or commit`, {
      hint: `an address is repository/ref, then the path where one is meant, as in ${example}`,
    });
  }
  return { repository: parseRepositoryName(bare.slice(0, slash)), rest: bare.slice(slash + 1) };
}
