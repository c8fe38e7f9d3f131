import type { DaemonPaths } from '../daemon/paths.js';
import type { Terminal } from './terminal.js';

/** One command, with all that its `--help` says. Each verb's file exports one or more. */
export interface Command {
  /** As typed behind `tarn`, with the noun: `branch create`. */
  readonly name: string;
  /** One line, starting with a verb, without a full stop. */
  readonly summary: string;
  readonly positionals: readonly Positional[];
  readonly options: Readonly<Record<string, Option>>;
  /** What the command promises beyond its summary; paragraphs. */
  readonly notes?: readonly string[];
  readonly examples: readonly Example[];
  /** Resolves to the exit code where it is not 0. */
  run(input: Input, context: CommandContext): Promise<number | void>;
}

export interface Positional {
  /** Upper case, as in the usage line. */
  readonly name: string;
  readonly what: string;
  /** May be left out; only behind those that may not. */
  readonly optional?: boolean;
  /** Takes as many as there are, at least one unless optional. */
  readonly many?: boolean;
}

export interface Option {
  /** Present for an option with a value: how the value shows in the help. */
  readonly value?: string;
  readonly short?: string;
  readonly many?: boolean;
  readonly what: string;
}

export interface Example {
  readonly command: string;
  readonly what: string;
}

/** What was typed, by the names the command declared. */
export interface Input {
  /** The positional at `index`; one that may be left out is asked for with positionalAt. */
  readonly positionals: readonly string[];
  flag(name: string): boolean;
  value(name: string): string | undefined;
  values(name: string): readonly string[];
}

export interface CommandContext {
  readonly terminal: Terminal;
  readonly paths: DaemonPaths;
  /** Fires on SIGINT and SIGTERM, and when the time of --timeout is up. */
  readonly signal: AbortSignal;
}

/** The command was typed wrongly: exit code 2 and a pointer to its help. */
export class UsageError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'UsageError';
    this.hint = hint;
  }
}

/** Exit codes, as every command's help states them. */
export const EXIT = { done: 0, failed: 1, usage: 2, conflict: 3, interrupted: 130 } as const;

/** Options that every command takes. */
export const COMMON_OPTIONS: Readonly<Record<string, Option>> = {
  json: { what: 'print JSON: one document, or one object a line for lists' },
  timeout: { value: 'SECONDS', what: 'give up when it is not done after so long' },
  help: { short: 'h', what: 'print this help' },
};
export const YES_OPTION: Option = { short: 'y', what: 'do not ask before destroying' };
/** Of what gives a file or folder a path. */
export const FORCE_OPTION: Option = {
  what: 'overwrite what is there: a file, or a folder with all below it',
};
