import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { shortId } from '../format.js';
import { refPlaceOf } from '../places.js';

const mount: Command = {
  name: 'mount',
  summary: 'Mount a commit as an ordinary directory that never changes',
  positionals: [
    {
      name: 'REF',
      what: 'repository/ref, as drive/golden; a branch means its newest commit, and the mount stays at that commit',
    },
    { name: 'DIR', what: 'an existing, empty directory' },
  ],
  options: {
    driver: {
      value: 'NAME',
      what: 'native (the default: the kernel protocol, at disk speed) or fuse-native (through libfuse 2)',
    },
    'allow-other': {
      what: 'let other users in; a mount by root lets them in anyway, as the modes say',
    },
  },
  notes: [
    'Nothing is copied. Files carry extended attributes (user.tarn.repository, .ref, .commit, .path, .content) that tell where they come from, and /proc/mounts names repository and commit. The daemon serves the mount until tarn umount or tarn daemon stop.',
  ],
  examples: [
    { command: 'tarn mount drive/golden /mnt/golden', what: 'a tag' },
    {
      command: 'tarn mount drive/main~1 /mnt/before',
      what: 'the commit before the newest of main',
    },
    {
      command: "tarn mount 'drive/main@{2025-06-14}' /mnt/then",
      what: 'main as it was when that day began, in UTC',
    },
  ],
  async run(input, context) {
    const [ref = '', given = ''] = input.positionals;
    const place = refPlaceOf(ref);
    const driver = input.value('driver') ?? 'native';
    if (driver !== 'native' && driver !== 'fuse-native') {
      throw new UsageError(`there is no driver '${driver}'`, 'it is native or fuse-native');
    }
    const { checkMountPoint } = await import('../../mount/mount-point.js');
    const directory = await checkMountPoint(given);
    const allowOther = input.flag('allow-other');
    const made = await ask(context, 'mount', { ...place, directory, driver, allowOther });
    await context.terminal.result(
      made,
      `mounted ${made.repository}/${made.ref} (commit ${shortId(made.commit)}) on ${made.directory}`,
    );
  },
};

export const commands: readonly Command[] = [mount];
