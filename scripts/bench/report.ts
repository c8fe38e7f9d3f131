/** More is better. */
type Speed = (typeof SPEEDS)[number];
const SPEEDS = ['MB/s', 'IOPS', 'rows/s', 'commits/s'] as const;

/** One line of the table: the same work on the plain disk, or as the workload says, and on tarn, in one run. */
export interface Measurement {
  readonly workload: string;
  readonly driver: string;
  readonly unit: Speed | 's' | 'ms' | 'MiB' | 'requests' | 'round trips' | 'times' | 'commits';
  /** On the plain disk, or with what the workload's name says; where there is such a thing. */
  readonly disk?: number;
  readonly tarn: number;
  /** What the ratio must reach: at least for speeds, at most for times. */
  readonly goal?: number;
  /** Highest resident memory of the daemon in this workload, MiB. */
  readonly daemonMib: number;
}

/** tarn's figure over the disk's: more is better for speeds, less for times. */
export function ratioOf(measurement: Measurement): number | undefined {
  return measurement.disk === undefined ? undefined : measurement.tarn / measurement.disk;
}

export function reached(measurement: Measurement): boolean | undefined {
  if (measurement.goal === undefined) return undefined;
  const value = ratioOf(measurement) ?? measurement.tarn;
  return isSpeed(measurement) ? value >= measurement.goal : value <= measurement.goal;
}

function isSpeed({ unit }: Measurement): boolean {
  return SPEEDS.some((speed) => speed === unit);
}

export function tableHead(): string {
  return [
    '| workload | driver | disk or other | tarn | ratio | goal | daemon peak |',
    '|---|---|---|---|---|---|---|',
  ].join('\n');
}

export function tableRow(m: Measurement): string {
  const show = (value: number | undefined): string => {
    if (value === undefined) return '';
    return `${value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)} ${m.unit}`;
  };
  const bound = isSpeed(m) ? '≥' : '≤';
  const unit = m.disk === undefined ? ` ${m.unit}` : '';
  const verdict = reached(m) === false ? ', missed' : '';
  const goal = m.goal === undefined ? '' : `${bound} ${m.goal}${unit}${verdict}`;
  const cells = [m.workload, m.driver, show(m.disk), show(m.tarn), ratioOf(m)?.toFixed(2) ?? ''];
  return `| ${[...cells, goal, `${m.daemonMib} MiB`].join(' | ')} |`;
}
