import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const here = new URL('./', import.meta.url);
const page = readFileSync(new URL('../../src/vfs/SEMANTICS.md', here), 'utf8');
const promises = [...page.matchAll(/^- \*\*([A-Z]\d+)\*\* (.+)$/gm)].map(
  ([, id = '', sentence = '']) => `${id}: ${sentence}`,
);

/** Titles of tests that begin with the number of a promise. */
function quoted(): Set<string> {
  const folders = [
    here,
    ...['suites', 'overlay', 'cli', 'daemon'].map((name) => new URL(`../${name}/`, here)),
  ];
  const titles = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts') && name !== 'semantics.test.ts')
      .flatMap((name) => titlesIn(readFileSync(new URL(name, folder), 'utf8'))),
  );
  return new Set(titles);
}

function titlesIn(source: string): string[] {
  const calls = /\bit(?:\.each\(\w+\))?\(\s*(['"])([A-Z]\d+: .*?)(?:: %s)?\1,/g;
  return [...source.matchAll(calls)].map((match) => match[2] ?? '');
}

it('every promise is quoted by a test', () => {
  const titles = quoted();
  expect(promises.length).toBeGreaterThan(30);
  expect(promises.filter((promise) => !titles.has(promise))).toEqual([]);
});

it('every quoted promise is on the page', () => {
  expect([...quoted()].filter((title) => !promises.includes(title))).toEqual([]);
});

it('no two promises have the same number', () => {
  const ids = promises.map((promise) => promise.split(':')[0]);
  expect(new Set(ids).size).toBe(ids.length);
});
