const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Bytes for a person: `17 B`, `4.0 KiB`, `1.2 GiB`. */
export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? 'B'}`;
}

/** `1 file`, `2 files`; with thousands separated. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}

/** ISO date to `2025-06-14 05:31:07`, UTC. */
export function shortDate(iso: string | undefined): string {
  return iso === undefined ? ''.padEnd(19) : iso.slice(0, 19).replace('T', ' ');
}

export function shortId(id: string): string {
  return id.slice(0, 12);
}

/** `2 added, 1 removed`: what there is none of is left out. */
export function countsText(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  if (parts.length === 0) return 'no change';
  return parts.map(([kind, count]) => `${count.toLocaleString('en-US')} ${kind}`).join(', ');
}

export function bytesText(bytes: { bytesBefore: number; bytesAfter: number }): string {
  return `${humanBytes(bytes.bytesBefore)} -> ${humanBytes(bytes.bytesAfter)}`;
}
