import { describe, expect, it } from 'vitest';
import { classifyChange } from '../../src/model/change.js';
import type { Entry } from '../../src/model/entry.js';
import { fileEntry } from '../workspace/sandbox.js';

const file = fileEntry('label');
const link: Entry = { kind: 'symlink', target: 'a', mode: 0o777, mtimeSec: 1, mtimeNsec: 0 };

describe('what kind of change it is', () => {
  it.each([
    ['nothing and nothing', undefined, undefined, undefined],
    ['the same file', file, { ...file }, undefined],
    ['the same bytes that lie elsewhere', file, { ...file, address: { kind: 'whole' } }, undefined],
    ['a new file', undefined, file, 'added'],
    ['a file that is gone', file, undefined, 'removed'],
    ['other bytes', file, fileEntry('label 2'), 'changed'],
    ['another target', link, { ...link, target: 'b' }, 'changed'],
    ['a file that became a link', file, link, 'type-changed'],
    ['a link that became a file', link, file, 'type-changed'],
    ['another mode', file, { ...file, mode: 0o600 }, 'metadata-changed'],
    ['another time', file, { ...file, mtimeNsec: 1 }, 'metadata-changed'],
    ['user metadata', file, { ...file, metadata: { lens: 'b' } }, 'metadata-changed'],
    ['a content type', file, { ...file, contentType: 'image/png' }, 'metadata-changed'],
    ['the mode of a link', link, { ...link, mode: 0o700 }, 'metadata-changed'],
  ] as [string, Entry | undefined, Entry | undefined, string | undefined][])(
    '%s',
    (_what, before, after, kind) => {
      expect(classifyChange(before, after)).toBe(kind);
    },
  );
});
