import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Lower folders first. A file imports from its own folder and from lower tiers only. */
const TIERS: readonly (readonly string[])[] = [
  ['util'],
  ['model'],
  ['store', 'tree'],
  ['cache'],
  ['repo'],
  ['history'],
  ['vfs', 'workspace'],
  ['overlay'],
  ['mount', 'gateway', 'api'],
  ['daemon'],
  ['cli', 'web'],
];

const SQLITE_HOMES = ['cache/', 'workspace/', 'overlay/', 'store/local/'];

interface SourceFile {
  /** Below src/, such as `repo/view.ts`. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly string[];
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name));
}

function sources(): SourceFile[] {
  const src = join(ROOT, 'src');
  return filesBelow(src).map((file) => {
    const text = readFileSync(file, 'utf8');
    const specifiers = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)];
    const imports = specifiers.map(([, name = '']) =>
      name.startsWith('.')
        ? relative(src, resolve(dirname(file), name)).replace(/\.js$/, '.ts')
        : name,
    );
    return { path: relative(src, file), lines: text.split('\n').length, imports };
  });
}

function tierOf(path: string): number {
  const folder = path.split('/')[0] ?? '';
  return TIERS.findIndex((tier) => tier.includes(folder));
}

describe('the house', () => {
  const files = sources();

  it('has a tier for each folder', () => {
    expect(files.filter((file) => tierOf(file.path) < 0).map((file) => file.path)).toEqual([]);
  });

  it('imports one way', () => {
    const wrong = files.flatMap((file) =>
      file.imports
        .filter((target) => tierOf(target) >= 0 && target.endsWith('.ts'))
        .filter((target) => {
          const sameFolder = target.split('/')[0] === file.path.split('/')[0];
          return !sameFolder && tierOf(target) >= tierOf(file.path);
        })
        .map((target) => `${file.path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('has no import cycles', () => {
    const byPath = new Map(files.map((file) => [file.path, file]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: string[]): void => {
      if (trail.includes(path))
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      if (done.has(path) || trail.includes(path)) return;
      for (const next of byPath.get(path)?.imports ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const file of files) visit(file.path, []);
    expect(cycles).toEqual([]);
  });

  it('keeps SQLite in workspace, cache and the local store', () => {
    const wrong = files.filter(
      (file) =>
        file.imports.includes('better-sqlite3') &&
        !SQLITE_HOMES.some((home) => file.path.startsWith(home)),
    );
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  it('keeps the SDKs of clouds in the store', () => {
    const wrong = files.filter(
      (file) =>
        file.imports.some((name) => /^(@aws-sdk|@smithy|@azure|google-auth)/.test(name)) &&
        !/^store\/(s3|gcs|azure)\//.test(file.path),
    );
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  it('keeps kernel drivers in mount and mount out of the filesystem', () => {
    const driver = (name: string): boolean => name === 'fuse-native' || name.endsWith('.node');
    const wrong = files.filter(
      (file) => file.imports.some(driver) && !file.path.startsWith('mount/'),
    );
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  it('has no file of more than 500 lines', () => {
    const tests = [...filesBelow(join(ROOT, 'test')), ...filesBelow(join(ROOT, 'scripts'))];
    const long = [
      ...files.filter((file) => file.lines > 501).map((file) => `src/${file.path}`),
      ...tests
        .filter((file) => readFileSync(file, 'utf8').split('\n').length > 501)
        .map((file) => relative(ROOT, file)),
    ];
    expect(long).toEqual([]);
  });
});
