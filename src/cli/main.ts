#!/usr/bin/env node
import { VERSION } from '../daemon/protocol.js';
import { daemonPaths } from '../daemon/paths.js';
import type { Command } from './command.js';
import { EXIT, UsageError } from './command.js';
import { exitCodeOf, toReport } from './failure.js';
import { homeDirectory } from './home.js';
import { Terminal } from './terminal.js';
import { parseInput } from './parse.js';
import { TarnError } from '../util/errors.js';
import { findVerb, VERBS } from './verbs.js';

/** A day. */
const TIMEOUT_S_MAX = 86_400;

// Until it says otherwise: nothing that ended in the middle was done.
process.exitCode = EXIT.failed;
void main(process.argv.slice(2)).then((code) => (process.exitCode = code));

async function main(args: readonly string[]): Promise<number> {
  const terminal = new Terminal(args.includes('--json'));
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stop.abort());
  }
  try {
    const code = await dispatch(args, terminal, stop);
    await terminal.flush();
    return code;
  } catch (error) {
    await terminal.flush();
    const { aborted } = stop.signal;
    const reason: unknown = stop.signal.reason;
    if (aborted && !(reason instanceof TarnError)) {
      terminal.error({ kind: 'aborted', message: 'interrupted' });
      return EXIT.interrupted;
    }
    const fault = aborted ? reason : error;
    terminal.error(toReport(fault));
    return exitCodeOf(fault);
  }
}

async function dispatch(
  args: readonly string[],
  terminal: Terminal,
  stop: AbortController,
): Promise<number> {
  const [first, ...rest] = args;
  if (first === '--version' || first === '-V') {
    await terminal.result({ version: VERSION }, `tarn ${VERSION}`);
    return EXIT.done;
  }
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    return help(first === undefined ? [] : rest, terminal, first === undefined);
  }
  const verb = findVerb(first);
  if (verb === undefined) {
    throw new UsageError(`'tarn ${first}' is not a command`, "'tarn --help' lists them");
  }
  const commands = await verb.load();
  const found = pickCommand(first, commands, rest);
  if (found === undefined) {
    const asked = rest[0] === '--help' || rest[0] === '-h';
    return nounHelp(first, commands, rest[0], asked, terminal);
  }
  const input = parseInput(found.command, found.args);
  if (input.flag('help')) {
    const { commandHelp } = await import('./help.js');
    await terminal.result(helpDocument(found.command), commandHelp(found.command).trimEnd());
    return EXIT.done;
  }
  const paths = daemonPaths(homeDirectory());
  const limit = limitTime(input.value('timeout'), stop);
  try {
    const context = { terminal, paths, signal: stop.signal };
    return (await found.command.run(input, context)) ?? EXIT.done;
  } finally {
    clearTimeout(limit);
  }
}

/** @throws UsageError */
function limitTime(given: string | undefined, stop: AbortController): NodeJS.Timeout | undefined {
  if (given === undefined) return undefined;
  const seconds = Number(given);
  if (!(seconds > 0 && seconds <= TIMEOUT_S_MAX)) {
    throw new UsageError(`--timeout takes seconds, as 30 or 0.5, not '${given}'`);
  }
  return setTimeout(() => stop.abort(overdue(seconds)), seconds * 1000).unref();
}

function overdue(seconds: number): TarnError {
  return new TarnError('unavailable', `it was not done within ${seconds} s, and was given up`, {
    hint: "it may still have been done: look before you repeat it; 'tarn stats' says whether a store does not answer",
  });
}

/** Of a noun's commands the one that is meant; a verb has only itself. */
function pickCommand(
  first: string,
  commands: readonly Command[],
  rest: readonly string[],
): { command: Command; args: readonly string[] } | undefined {
  const [only] = commands;
  if (only !== undefined && only.name === first) return { command: only, args: rest };
  const command = commands.find(({ name }) => name === `${first} ${rest[0] ?? ''}`);
  return command && { command, args: rest.slice(1) };
}

async function nounHelp(
  noun: string,
  commands: readonly Command[],
  given: string | undefined,
  asked: boolean,
  terminal: Terminal,
): Promise<number> {
  if (!asked) {
    const names = commands.map(({ name }) => name.slice(noun.length + 1)).join(', ');
    const what = given === undefined ? 'needs to know what to do' : `cannot '${given}'`;
    throw new UsageError(`'tarn ${noun}' ${what}`, `one of: ${names}; see 'tarn ${noun} --help'`);
  }
  const { table } = await import('./help.js');
  const rows = commands.map(({ name, summary }) => [`tarn ${name}`, summary] as const);
  await terminal.result(
    commands.map(helpDocument),
    [`Commands of 'tarn ${noun}':`, '', ...table(rows), '', 'Each has its own --help.'].join('\n'),
  );
  return EXIT.done;
}

function helpDocument({ name, summary, positionals, options, examples }: Command): unknown {
  return { name, summary, positionals, options, examples };
}

async function help(
  args: readonly string[],
  terminal: Terminal,
  isMistake: boolean,
): Promise<number> {
  const [first, ...rest] = args.filter((arg) => arg !== '--json');
  if (first !== undefined)
    return dispatch([first, ...rest, '--help'], terminal, new AbortController());
  const { table } = await import('./help.js');
  const rows = VERBS.map(({ name, summary }) => [name, summary] as const);
  await terminal.result(
    VERBS.map(({ name, summary }) => ({ name, summary })),
    [
      'tarn versions the moment: it commits folders of sensor data and mounts any commit as plain files.',
      '',
      'Usage: tarn COMMAND [arguments] [options]',
      '',
      'Commands:',
      ...table(rows),
      '',
      'First steps:',
      '  tarn repo create drive',
      '  tarn put -r ./run-8421 drive/main/raw/2025-06-14/run-8421',
      "  tarn commit drive/main -m 'Ingest run 8421'",
      '  tarn mount drive/main /mnt/drive',
      '',
      "'tarn COMMAND --help' explains each. TARN_HOME names the home directory.",
    ].join('\n'),
  );
  return isMistake ? EXIT.usage : EXIT.done;
}
