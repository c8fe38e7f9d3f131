import type { Place } from '../daemon/protocol/terms.js';
import {
  parseAddress,
  parseBranchAddress,
  parseRefAddress,
  parseWorkspaceAddress,
} from '../model/address.js';
import { keyToText } from '../model/path.js';
import type { Positional } from './command.js';
import { UsageError } from './command.js';

export const ADDRESS: Positional = {
  name: 'ADDRESS',
  what: 'repository/ref/path, as drive/main/raw/2025-06-14/run-8421; the ref is a branch (with what is staged on it), branch@ (without), a tag or a commit, with ~N and ^N for ancestors, or what a branch or tag was at a time, as main@{2025-06-14 17:30 Europe/Berlin} (UTC where no zone is given) or main@{2 hours ago}; tarn:// may stand in front',
};

export const BRANCH: Positional = {
  name: 'REPO/BRANCH',
  what: 'the branch, as drive/main',
};

/** The address as text parts. @throws TarnError invalid */
export function placeOf(text: string): Place {
  const { repository, ref, path } = parseAddress(text);
  return { repository, ref: ref.text, path: keyToText(path) };
}

/** An address on a branch, for what changes the branch. @throws UsageError, TarnError invalid */
export function branchPlaceOf(text: string): { repository: string; branch: string; path: string } {
  const place = placeOf(text);
  if (!/^[A-Za-z0-9_][A-Za-z0-9_-]*$/.test(place.ref)) {
    throw new UsageError(
      `'${place.ref}' in '${text}' is not a branch, and only a branch can be changed`,
      `name a branch, as in ${place.repository}/main/${place.path}`,
    );
  }
  return { repository: place.repository, branch: place.ref, path: place.path };
}

/** `repository/ref` without a path. @throws TarnError invalid */
export function refPlaceOf(text: string): { repository: string; ref: string } {
  const { repository, ref } = parseRefAddress(text);
  return { repository, ref: ref.text };
}

export const branchOf = parseBranchAddress;

export const WORKSPACE: Positional = {
  name: 'REPO/BRANCH',
  what: 'the branch, as drive/main; or a private workspace on it, as drive/main+1',
};

export const workspaceOf = parseWorkspaceAddress;

/** A ref given where the repository is known: bare, or with that repository in front. */
export function refIn(repository: string, text: string): string {
  const named = parseRefAddress(text, repository);
  if (named.repository === repository) return named.ref.text;
  throw new UsageError(
    `'${text}' lies in repository '${named.repository}', not in '${repository}'`,
    'a branch or tag can only point into its own repository',
  );
}
