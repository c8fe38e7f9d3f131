/** One operation's times against the size of the repository. */
export interface Series {
  readonly name: string;
  readonly points: readonly { readonly files: number; readonly ms: number }[];
}

const WIDTH = 880;
const HEIGHT = 560;
const PLOT = { left: 70, top: 48, right: 640, bottom: 500 };
const COLOURS = [
  '#1b6ca8',
  '#c0392b',
  '#2e8b57',
  '#8e44ad',
  '#d68910',
  '#16a085',
  '#7f8c8d',
  '#2c3e50',
  '#e84393',
  '#6c5ce7',
  '#b33939',
  '#218c74',
];

/** An SVG of all series over logarithmic axes: files across, milliseconds up. */
export function chart(title: string, series: readonly Series[]): string {
  const points = series.flatMap((one) => one.points);
  const x = axis(decades(points.map(({ files }) => files)), PLOT.left, PLOT.right);
  const y = axis(decades(points.map(({ ms }) => ms)), PLOT.bottom, PLOT.top);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${PLOT.left}" y="24" font-size="15" font-weight="bold">${escape(title)}</text>`,
    ...x.marks.map((mark) => verticalMark(mark, x.at(mark))),
    ...y.marks.map((mark) => horizontalMark(mark, y.at(mark))),
    `<text x="${PLOT.left}" y="${HEIGHT - 14}">files in the repository</text>`,
    ...series.map((one, index) => line(one, index, x.at, y.at)),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

interface Axis {
  readonly marks: readonly number[];
  readonly at: (value: number) => number;
}

function axis([low, high]: readonly [number, number], from: number, to: number): Axis {
  const marks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  return {
    marks,
    at: (value) => from + ((Math.log10(value) - low) / Math.max(1, high - low)) * (to - from),
  };
}

/** The powers of ten around the values. */
function decades(values: readonly number[]): readonly [number, number] {
  const logs = values.filter((value) => value > 0).map(Math.log10);
  return [Math.floor(Math.min(...logs) + 1e-9), Math.ceil(Math.max(...logs) - 1e-9)];
}

function verticalMark(value: number, x: number): string {
  return `<line x1="${px(x)}" y1="${PLOT.top}" x2="${px(x)}" y2="${PLOT.bottom}" stroke="#e5e5e5"/><text x="${px(x)}" y="${PLOT.bottom + 18}" text-anchor="middle">${value.toLocaleString('en')}</text>`;
}

function horizontalMark(value: number, y: number): string {
  const label = value >= 1000 ? `${value / 1000} s` : `${value} ms`;
  return `<line x1="${PLOT.left}" y1="${px(y)}" x2="${PLOT.right}" y2="${px(y)}" stroke="#e5e5e5"/><text x="${PLOT.left - 8}" y="${px(y + 4)}" text-anchor="end">${label}</text>`;
}

function line(
  { name, points }: Series,
  index: number,
  x: (files: number) => number,
  y: (ms: number) => number,
): string {
  const colour = COLOURS[index % COLOURS.length] ?? 'black';
  const path = points.map(({ files, ms }) => `${px(x(files))},${px(y(ms))}`);
  const dots = path.map((at) => {
    const [cx, cy] = at.split(',');
    return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`;
  });
  const legendY = PLOT.top + 12 + index * 20;
  return [
    `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...dots,
    `<rect x="${PLOT.right + 16}" y="${legendY - 9}" width="10" height="10" fill="${colour}"/>`,
    `<text x="${PLOT.right + 32}" y="${legendY}">${escape(name)}</text>`,
  ].join('');
}

function px(value: number): string {
  return value.toFixed(1);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
