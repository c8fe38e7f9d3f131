import type { Command, Option, Positional } from './command.js';
import { COMMON_OPTIONS } from './command.js';

const EXIT_CODES =
  'Exit codes: 0 done, 1 failed, 2 wrong usage, 3 conflict with a change of someone else.';
const WIDTH = 88;

export function commandHelp(command: Command): string {
  const { name, summary, positionals, notes = [], examples } = command;
  const options = { ...command.options, ...COMMON_OPTIONS };
  const usage = ['tarn', name, ...positionals.map(usageOf), '[options]'].join(' ');
  const lines = [`${summary}.`, '', `Usage: ${usage}`];
  const add = (title: string, rows: readonly (readonly [string, string])[]): void => {
    if (rows.length > 0) lines.push('', `${title}:`, ...table(rows));
  };
  for (const note of notes) lines.push('', ...wrap(note, WIDTH));
  add(
    'Arguments',
    positionals.map((each) => [each.name, each.what] as const),
  );
  add(
    'Options',
    Object.entries(options).map(([long, option]) => [optionUsage(long, option), option.what]),
  );
  lines.push('', 'Examples:');
  for (const example of examples) lines.push(`  ${example.command}`, `      ${example.what}`);
  lines.push('', EXIT_CODES, '');
  return lines.join('\n');
}

/** Two columns, the right one wrapped. */
export function table(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.min(28, Math.max(...rows.map(([name]) => name.length)));
  return rows.flatMap(([name, what]) => {
    const [first = '', ...rest] = wrap(what, WIDTH - left - 4);
    const indent = ' '.repeat(left + 4);
    return [`  ${name.padEnd(left)}  ${first}`, ...rest.map((line) => indent + line)];
  });
}

function usageOf({ name, optional, many }: Positional): string {
  const shown = many === true ? `${name}…` : name;
  return optional === true ? `[${shown}]` : shown;
}

function optionUsage(long: string, { short, value }: Option): string {
  const names = short === undefined ? `--${long}` : `-${short}, --${long}`;
  return value === undefined ? names : `${names} ${value}`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
