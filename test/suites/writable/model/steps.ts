/** One step of a sequence; steps that have the same round and different processes run at once. */
export type Step =
  | { readonly round: number; readonly process: number; readonly call: readonly unknown[] }
  | { readonly round: number; readonly control: Control };

export type Control = 'commit' | 'reset' | 'remount' | 'kill';

export interface Drawing {
  readonly seed: number;
  readonly steps: number;
  readonly processes: number;
  /** What happens between the calls; nothing of it with an empty list. */
  readonly controls: readonly Control[];
  /** Calls that are never drawn. */
  readonly without?: readonly string[];
}

const NAMES = ['a', 'b', 'c', 'd'];
/** There from the beginning, in every folder: a large file, a small one and a tree. */
export const LARGE = 'log.mcap';
export const LARGE_BYTES = 1_300_077;

/** Draws a sequence: the same for the same drawing, wherever it runs. */
export function draw(drawing: Drawing): Step[] {
  const chance = new Chance(drawing.seed);
  const steps: Step[] = [];
  let round = 0;
  while (steps.length < drawing.steps) {
    round += 1;
    if (drawing.controls.length > 0 && chance.below(3) === 0) {
      steps.push({ round, control: chance.of(drawing.controls) });
      continue;
    }
    const isShared = chance.below(2) === 0;
    if (isShared) {
      for (let i = 0; i < 6; i += 1) {
        round += 1;
        const process = chance.below(drawing.processes);
        steps.push({ round, process, call: drawCall(chance, 'shared', drawing) });
      }
    } else {
      for (let process = 0; process < drawing.processes; process += 1) {
        for (let i = 0; i < 5; i += 1) {
          steps.push({ round, process, call: drawCall(chance, `own-${process}`, drawing) });
        }
      }
    }
  }
  return steps;
}

type Drawn = readonly [weight: number, name: string, arguments_: () => readonly unknown[]];

function drawCall(chance: Chance, folder: string, drawing: Drawing): readonly unknown[] {
  const path = (): string => drawPath(chance, folder);
  // Files that were opened in a shared folder are another process's concern too: names of their own.
  const file = (): string => `${folder === 'shared' ? 's' : 'o'}${chance.below(3)}`;
  const offset = (): number => chance.near([0, 4096, 65_536, 1_048_576, LARGE_BYTES], 300_000);
  const length = (): number => chance.near([1, 4096, 20_000], 9000);
  const bytes = (): readonly [number, number] => [chance.below(1000), length()];
  const size = (): number => chance.near([0, 100, 4096, 100_000, LARGE_BYTES - 5000], 5000);
  const attribute = (): string => chance.of(['user.sensor', 'user.rig', 'user.glare']);
  const calls: readonly Drawn[] = [
    [10, 'open', () => [file(), path(), chance.of(FLAGS), chance.of([0o644, 0o600, 0o755])]],
    [12, 'pwrite', () => [file(), offset(), bytes()]],
    [4, 'write', () => [file(), bytes()]],
    [4, 'mapchange', () => [file(), offset(), bytes()]],
    [6, 'hashread', () => [file(), offset(), 200_000]],
    [3, 'ftruncate', () => [file(), size()]],
    [3, 'truncate', () => [path(), size()]],
    [3, 'fallocate', () => [file(), chance.of([0, 1, 3, 16]), offset(), length()]],
    [3, 'copyall', () => [file(), offset(), file(), offset(), length()]],
    [3, 'copyfile', () => [path(), path(), chance.of([1_100_000, 1_228_800, LARGE_BYTES])]],
    [2, 'fsync', () => [file()]],
    [4, 'close', () => [file()]],
    [8, 'rename', () => [path(), path(), chance.of([0, 0, 0, 1, 2])]],
    [3, 'link', () => [path(), path()]],
    [3, 'symlink', () => [chance.of([...NAMES, 'a/b', LARGE]), path()]],
    [5, 'unlink', () => [path()]],
    [3, 'rmdir', () => [path()]],
    [6, 'mkdir', () => [path(), chance.of([0o755, 0o700])]],
    [1, 'mknod', () => [path(), 0o010_600]],
    [2, 'chmod', () => [path(), chance.of([0o644, 0o755, 0o600, 0o444])]],
    [3, 'utimes', () => [path(), '86400000000001', String(chance.below(1000) * 1_000_000_007)]],
    [1, 'setxattr', () => [path(), attribute(), text(chance)]],
    [2, 'setfilexattr', () => [path(), attribute(), text(chance)]],
    [1, 'removexattr', () => [path(), attribute()]],
    [1, 'listxattr', () => [path()]],
    [2, 'list', () => [path()]],
    [3, 'size', () => [path()]],
    [1, 'readlink', () => [path()]],
  ];
  const open = calls.filter(([, name]) => drawing.without?.includes(name) !== true);
  let at = chance.below(open.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, name, draws] of open) {
    at -= weight;
    if (at < 0) return [name, ...draws()];
  }
  throw new Error('the weights do not add up');
}

const FLAGS = [
  ...['O_RDWR|O_CREAT|O_NONBLOCK', 'O_RDWR|O_CREAT|O_NONBLOCK', 'O_RDWR|O_NONBLOCK'],
  ...['O_RDONLY|O_NONBLOCK', 'O_RDWR|O_CREAT|O_EXCL', 'O_WRONLY|O_TRUNC|O_NONBLOCK'],
  ...['O_WRONLY|O_CREAT|O_APPEND|O_NONBLOCK', 'O_RDWR|O_CREAT|O_TRUNC|O_NONBLOCK'],
  'O_RDONLY|O_DIRECTORY',
];

function drawPath(chance: Chance, folder: string): string {
  if (chance.below(8) === 0) return `${folder}/${LARGE}`;
  const depth = chance.of([1, 1, 1, 2, 2, 3]);
  return [folder, ...Array.from({ length: depth }, () => chance.of(NAMES))].join('/');
}

/** Base64 of a text: a commit keeps no attributes that are none. */
function text(chance: Chance): string {
  return Buffer.from(`front-${chance.below(1000)}`).toString('base64');
}

/** Numbers that follow from a seed (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** Near one of the places where something changes, or anywhere below the limit. */
  near(places: readonly number[], limit: number): number {
    if (this.below(3) === 0) return this.below(limit);
    return Math.max(0, this.of(places) + this.of([-1, 0, 0, 1, this.below(300)]));
  }
}
