import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import { parseBranchName } from './refs.js';

/**
 * A workspace is a branch with what is staged on it. The one that everybody shares has the name of
 * its branch. A private one is `branch+N`, which no branch can be called.
 */
const PRIVATE = /^([^+]+)\+([1-9][0-9]{0,5})$/;

/** @throws TarnError invalid */
export function parseWorkspaceName(text: string): string {
  const [, branch] = PRIVATE.exec(text) ?? [];
  if (branch === undefined && text.includes('+')) {
    throw new TarnError('invalid', `'${printable(text)}' is not a workspace`, {
      hint: 'a private workspace is called by its branch and a number, as main+1',
    });
  }
  parseBranchName(branch ?? text);
  return text;
}

export function privateWorkspace(branch: string, number: number): string {
  return `${branch}+${number}`;
}

export function isPrivate(workspace: string): boolean {
  return workspace.includes('+');
}

export function branchOfWorkspace(workspace: string): string {
  return PRIVATE.exec(workspace)?.[1] ?? workspace;
}
