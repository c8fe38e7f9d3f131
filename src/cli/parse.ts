import type { ParseArgsConfig } from 'node:util';
import { parseArgs } from 'node:util';
import type { Command, Input, Option } from './command.js';
import { COMMON_OPTIONS, UsageError } from './command.js';

/** @throws UsageError */
export function parseInput(command: Command, args: readonly string[]): Input {
  const declared = { ...command.options, ...COMMON_OPTIONS };
  const { positionals, values } = parse(command, args, declared);
  if (values['help'] !== true) checkPositionals(command, positionals);
  const list = (name: string): readonly string[] => {
    const value = values[name];
    if (Array.isArray(value)) return value.map(String);
    return typeof value === 'string' ? [value] : [];
  };
  return {
    positionals,
    flag: (name) => values[name] === true,
    value: (name) => list(name).at(-1),
    values: list,
  };
}

function parse(
  command: Command,
  args: readonly string[],
  declared: Readonly<Record<string, Option>>,
): { positionals: string[]; values: Record<string, unknown> } {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const [name, { value, short, many }] of Object.entries(declared)) {
    options[name] = {
      type: value === undefined ? 'boolean' : 'string',
      ...(short === undefined ? {} : { short }),
      ...(many === true ? { multiple: true } : {}),
    };
  }
  try {
    return parseArgs({ args: joinValues(args, declared), options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(parseComplaint(error), `see 'tarn ${command.name} --help'`);
  }
}

/**
 * An option that takes a value takes what comes next, as in other programs, also when that begins
 * with `-` (`--range -100`).
 */
function joinValues(args: readonly string[], declared: Readonly<Record<string, Option>>): string[] {
  const valued = Object.entries(declared).filter(([, { value }]) => value !== undefined);
  const joined: string[] = [];
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] ?? '';
    if (arg === '--') return [...joined, ...args.slice(i)];
    const found = valued.find(
      ([name, { short }]) => arg === `--${name}` || (short !== undefined && arg === `-${short}`),
    );
    const value = args[i + 1];
    if (found === undefined || value === undefined) {
      joined.push(arg);
    } else {
      joined.push(`--${found[0]}=${value}`);
      i += 1;
    }
  }
  return joined;
}

/** Node's words without its advice, which speaks of its own conventions. */
function parseComplaint(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const first = message.split(/\. |\n/)[0] ?? message;
  return first.charAt(0).toLowerCase() + first.slice(1);
}

function checkPositionals(command: Command, given: readonly string[]): void {
  const { positionals, name } = command;
  const required = positionals.filter((positional) => positional.optional !== true);
  const missing = required[given.length];
  const see = `see 'tarn ${name} --help'`;
  if (missing !== undefined) {
    throw new UsageError(`${missing.name} is missing: ${missing.what}`, see);
  }
  const unlimited = positionals.some((positional) => positional.many === true);
  const extra = given[positionals.length];
  if (!unlimited && extra !== undefined) {
    throw new UsageError(`'tarn ${name}' does not know what to do with '${extra}'`, see);
  }
}

/** A whole number given as an option's value. @throws UsageError */
export function wholeNumber(text: string, option: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new UsageError(`--${option} takes a whole number, at least 0, not '${text}'`);
}
