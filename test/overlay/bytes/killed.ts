/**
 * Stands in for node:fs: lets a test end a change at any system call that changes something, as the
 * end of the process would.
 */
export const killing = {
  /** Calls that still go through; none is stopped when undefined. */
  left: undefined as number | undefined,
};

export class Killed extends Error {}

const CHANGING = ['writeSync', 'writevSync', 'ftruncateSync', 'futimesSync', 'rmSync'];

export function withKilling<T extends object>(fs: T): T {
  const wrapped = Object.fromEntries(
    CHANGING.map((name) => [
      name,
      (...args: unknown[]): unknown => {
        if (killing.left === 0) throw new Killed('killed');
        if (killing.left !== undefined) killing.left -= 1;
        return (fs as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args);
      },
    ]),
  );
  return { ...fs, ...wrapped };
}
