import { readdir, readFile, readlink } from 'node:fs/promises';

export interface Holder {
  readonly pid: number;
  readonly name: string;
}

const HOLDERS_SHOWN_MAX = 8;

/** Processes with a working directory, an open file or a mapping at or below `directory`. */
export async function holdersOf(directory: string): Promise<Holder[]> {
  const found: Holder[] = [];
  for (const entry of await readdir('/proc').catch(() => [])) {
    if (found.length === HOLDERS_SHOWN_MAX) break;
    const pid = Number(entry);
    if (!Number.isInteger(pid) || !(await holds(pid, directory))) continue;
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'unknown');
    found.push({ pid, name: name.trim() });
  }
  return found;
}

/** Only names are compared: nothing here touches the mount itself. */
async function holds(pid: number, directory: string): Promise<boolean> {
  const proc = `/proc/${pid}`;
  const isInside = (path: string): boolean =>
    path === directory || path.startsWith(`${directory}/`);
  for (const link of ['cwd', 'root']) {
    if (isInside(await readlink(`${proc}/${link}`).catch(() => ''))) return true;
  }
  for (const fd of await readdir(`${proc}/fd`).catch(() => [])) {
    if (isInside(await readlink(`${proc}/fd/${fd}`).catch(() => ''))) return true;
  }
  const maps = await readFile(`${proc}/maps`, 'utf8').catch(() => '');
  return maps.split('\n').some((line) => isInside(line.slice(line.indexOf('/'))));
}
