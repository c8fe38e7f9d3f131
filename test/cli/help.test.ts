import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commandHelp } from '../../src/cli/help.js';
import { parseInput } from '../../src/cli/parse.js';
import { VERBS } from '../../src/cli/verbs.js';
import { VERSION } from '../../src/daemon/protocol.js';
import { MAIN } from './shell.js';

const loaded = await Promise.all(VERBS.map((verb) => verb.load()));
const commands = loaded.flat();

function tarn(...args: string[]): string {
  return execFileSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

/** Words as a shell would cut them; the examples quote with ' alone. */
function words(command: string): string[] {
  const first = command.split(' | ').find((part) => part.startsWith('tarn ')) ?? command;
  return [...first.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}

describe('the help', () => {
  it('lists every verb', () => {
    const text = tarn('--help');
    for (const { name, summary } of VERBS) {
      expect(text).toContain(`  ${name} `);
      expect(text).toContain(summary);
    }
  });

  it.each(commands.map((command) => [command.name, command] as const))(
    'of %s states purpose, usage, examples that parse, and exit codes',
    (name, command) => {
      const text = commandHelp(command);
      expect(text).toContain(`Usage: tarn ${name}`);
      expect(text).toContain('Exit codes: 0 done');
      expect(text.split('\n').filter((line) => line.length > 100)).toEqual([]);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const example of command.examples) {
        const [program, ...args] = words(example.command);
        const own = name.split(' ');
        expect([program, ...args.slice(0, own.length)]).toEqual(['tarn', ...own]);
        expect(() => parseInput(command, args.slice(own.length))).not.toThrow();
      }
    },
  );

  it('names the version of the package', () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ version: VERSION });
  });

  it('is printed for a command, a noun and a noun with a verb, also as JSON', () => {
    expect(tarn('put', '--help')).toContain('Usage: tarn put SRC… ADDRESS');
    expect(tarn('help', 'put')).toBe(tarn('put', '-h'));
    expect(tarn('branch', '--help')).toContain('tarn branch create');
    expect(tarn('branch', 'create', '--help')).toContain('--from REF');
    expect(JSON.parse(tarn('mount', '--help', '--json'))).toMatchObject({ name: 'mount' });
    expect(tarn('--version')).toMatch(/^tarn \d+\.\d+\.\d+\n$/);
  });
});
