import type { CheckRow } from '../../daemon/protocol.js';
import { parseRepositoryName } from '../../model/address.js';
import { ask } from '../ask.js';
import { machineChecks } from '../checks.js';
import type { Command } from '../command.js';
import { EXIT } from '../command.js';

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;

const doctor: Command = {
  name: 'doctor',
  summary: 'Check this machine and this home, and say what to fix',
  positionals: [
    {
      name: 'REPO',
      what: 'also read the newest commit of every branch of this repository from end to end (not the bytes of files), and name what a mount cannot show',
      optional: true,
    },
  ],
  options: {},
  notes: ['A warning means that something works less well; the exit code is 1 if any check fails.'],
  examples: [
    { command: 'tarn doctor', what: 'can this machine mount, and how fast?' },
    { command: 'tarn doctor drive', what: 'is drive readable, and does a mount show all of it?' },
  ],
  async run(input, context) {
    const { terminal } = context;
    let failures = 0;
    const print = async (row: CheckRow): Promise<void> => {
      if (row.state === 'fail') failures += 1;
      const fix = row.fix === undefined ? '' : `\n        fix: ${row.fix}`;
      await terminal.row(row, () =>
        terminal.text(`${MARKS[row.state]}  ${row.check}: ${row.detail}${fix}`),
      );
      await terminal.flush();
    };
    for await (const row of machineChecks(context)) await print(row);
    const [name] = input.positionals;
    if (name !== undefined) {
      await ask(
        context,
        'doctor.repository',
        { name: parseRepositoryName(name) },
        { onRow: print },
      );
    }
    return failures === 0 ? EXIT.done : EXIT.failed;
  },
};

export const commands: readonly Command[] = [doctor];
