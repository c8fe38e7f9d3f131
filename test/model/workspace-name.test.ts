import { expect, it } from 'vitest';
import {
  branchOfWorkspace,
  isPrivate,
  parseWorkspaceName,
  privateWorkspace,
} from '../../src/model/workspace-name.js';

it('a workspace is a branch, or one of a number on it', () => {
  const own = privateWorkspace('labels-v2', 12);
  expect(own).toBe('labels-v2+12');
  for (const name of ['labels-v2', own]) {
    expect(parseWorkspaceName(name)).toBe(name);
    expect(branchOfWorkspace(name)).toBe('labels-v2');
    expect(isPrivate(name)).toBe(name === own);
  }
});

it.each([
  '',
  '+1',
  'main+',
  'main+0',
  'main+x',
  'main+1+2',
  'main +1',
  '../main+1',
  'a/b+1',
  'main+1234567',
])('%j is none', (text) => {
  expect(() => parseWorkspaceName(text)).toThrow(/not a (workspace|branch name)/);
});
