import type { UnmountRow } from '../../daemon/protocol.js';
import { TarnError } from '../../util/errors.js';
import { askRunning } from '../ask.js';
import type { Command, CommandContext } from '../command.js';
import { EXIT, UsageError } from '../command.js';
import { holdersOf } from '../holders.js';
import { findMount, deadMounts } from '../mounts.js';

const umount: Command = {
  name: 'umount',
  summary: 'Unmount a directory, or all of them',
  positionals: [{ name: 'DIR', what: 'the mount point', optional: true }],
  options: {
    all: { what: 'all mounts of this home directory, and dead ones' },
    force: {
      short: 'f',
      what: 'also when programs have files open there: they get an error from then on',
    },
  },
  notes: ['Also clears a mount whose daemon was killed; that needs no daemon.'],
  examples: [
    { command: 'tarn umount /mnt/golden', what: 'one mount' },
    { command: 'tarn umount --all', what: 'all of them' },
  ],
  async run(input, context) {
    const force = input.flag('force');
    const [given] = input.positionals;
    if (input.flag('all') === (given !== undefined)) {
      throw new UsageError(
        'umount takes a directory or --all',
        'tarn mounts lists what is mounted',
      );
    }
    if (given === undefined) return unmountAll(force, context);
    const mount = await findMount(given);
    if (mount === undefined) {
      throw new TarnError('not-found', `nothing of tarn is mounted on '${given}'`, {
        hint: "'tarn mounts' lists what is mounted",
      });
    }
    await unmountOne(mount.directory, force, context);
  },
};

async function unmountOne(
  directory: string,
  force: boolean,
  context: CommandContext,
): Promise<void> {
  const { isDeadMount } = await import('../../mount/mounts.js');
  if (await isDeadMount(directory)) return removeDead(directory, context);
  const onRow = (row: UnmountRow): Promise<void> | void => printRow(row, context);
  try {
    const result = await askRunning(context, 'umount', { directory, force }, { onRow });
    if (result !== undefined && result.unmounted > 0) return;
  } catch (error) {
    throw await explainBusy(error, directory);
  }
  throw new TarnError(
    'not-found',
    `the mount at '${directory}' belongs to another home directory`,
    {
      hint: 'set TARN_HOME to the one that mounted it',
    },
  );
}

async function unmountAll(force: boolean, context: CommandContext): Promise<number> {
  let failures = 0;
  const rows: string[] = [];
  await askRunning(context, 'mounts', {}, { onRow: (row) => void rows.push(row.directory) });
  for (const directory of rows) {
    try {
      const onRow = (row: UnmountRow): Promise<void> | void => printRow(row, context);
      await askRunning(context, 'umount', { directory, force }, { onRow });
    } catch (error) {
      failures += 1;
      const { toReport } = await import('../failure.js');
      context.terminal.error(toReport(await explainBusy(error, directory)));
    }
  }
  for (const { directory } of await deadMounts(rows)) await removeDead(directory, context);
  return failures === 0 ? EXIT.done : EXIT.failed;
}

/** The next daemon of this home is not to bring it back. */
async function removeDead(directory: string, context: CommandContext): Promise<void> {
  const { removeDeadMount } = await import('../../mount/mounts.js');
  const { MountRecord } = await import('../../daemon/mount-record.js');
  await removeDeadMount(directory);
  new MountRecord(context.paths.mounts).forget(directory);
  await printRow({ directory, wasDead: true }, context);
}

function printRow(
  row: { readonly directory: string; readonly wasDead?: boolean; readonly kept?: string },
  context: CommandContext,
): Promise<void> | void {
  const { directory, kept } = row;
  const dead = row.wasDead === true ? ' (its daemon had died)' : '';
  const left = kept === undefined ? '' : `; what was changed there is kept in ${kept}`;
  return context.terminal.row(row, () => `unmounted ${directory}${dead}${left}`);
}

async function explainBusy(error: unknown, directory: string): Promise<unknown> {
  if (!(error instanceof TarnError) || error.kind !== 'busy') return error;
  const holders = await holdersOf(directory);
  if (holders.length === 0) return error;
  const named = holders.map(({ pid, name }) => `${name} (pid ${pid})`).join(', ');
  return new TarnError('busy', `'${directory}' is in use by ${named}`, {
    hint: 'end them or leave the directory; --force detaches it under them',
  });
}

export const commands: readonly Command[] = [umount];
