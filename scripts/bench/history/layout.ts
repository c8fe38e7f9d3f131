/** Which files the repository under test holds: 1,000 in a directory, 1,000 directories in a day. */
export const FILES_IN_DIRECTORY = 1_000;
export const FILES_IN_DAY = 1_000_000;

/** The path of file `index`: `raw/day-003/run-03041/camera-front/frame-000123.jpg`. */
export function pathOf(index: number): string {
  const frame = String(index % FILES_IN_DIRECTORY).padStart(6, '0');
  return `${directoryOf(index)}frame-${frame}.jpg`;
}

/** The directory of file `index`, with its final `/`. */
export function directoryOf(index: number): string {
  const run = String(Math.floor(index / FILES_IN_DIRECTORY)).padStart(5, '0');
  return `${dayOf(index)}run-${run}/camera-front/`;
}

/** The day of file `index`, with its final `/`. */
export function dayOf(index: number): string {
  return `raw/day-${String(Math.floor(index / FILES_IN_DAY)).padStart(3, '0')}/`;
}

/** `count` paths scattered evenly over `files` files, other ones for another `round`. */
export function scattered(files: number, count: number, round: number): string[] {
  const step = files / count;
  const shift = (round * 0.377) % 1;
  return Array.from({ length: count }, (_, i) => pathOf(Math.floor((i + shift) * step)));
}
