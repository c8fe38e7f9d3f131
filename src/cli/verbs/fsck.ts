import { parseRepositoryName } from '../../model/address.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { EXIT } from '../command.js';
import { humanBytes, plural } from '../../util/format.js';

const fsck: Command = {
  name: 'fsck',
  summary: 'Check that a repository is whole, byte by byte',
  positionals: [{ name: 'REPO', what: 'the repository, as drive' }],
  options: {
    fast: { what: 'check refs, commits and trees, and only whether the contents are there' },
  },
  notes: [
    'Everything that refs lead to, in all of history, and what is staged here is read from the disk and checked once: refs, settings, commits, tree nodes, manifests, packs and files. It goes on after a fault and changes nothing. The exit code is 1 if anything is wrong.',
    'An imported file is checked against its size and time, and against its bytes where they were recorded (import --verify).',
  ],
  examples: [
    { command: 'tarn fsck drive', what: 'all of it, as before a drive is archived' },
    { command: 'tarn fsck drive --fast', what: 'without reading the contents' },
  ],
  async run(input, context) {
    const { terminal } = context;
    const repository = parseRepositoryName(input.positionals[0] ?? '');
    const counts = await ask(
      context,
      'fsck',
      { repository, fast: input.flag('fast') },
      {
        onRow: (fault) => {
          terminal.clearStatus();
          return terminal.row(fault, () => terminal.name(`${fault.where}: ${fault.message}`));
        },
        onProgress: ({ files, bytes }) =>
          terminal.status(`checked ${plural(files, 'entry', 'entries')}, ${humanBytes(bytes)}`),
      },
    );
    terminal.clearStatus();
    const { refs, commits, nodes, entries, contents, bytes, faults } = counts;
    const found = faults === 0 ? 'nothing is wrong' : plural(faults, 'fault');
    await terminal.row(
      counts,
      () =>
        `${repository}: ${found} in ${plural(refs, 'ref')}, ${plural(commits, 'commit')}, ${plural(nodes, 'tree node')}, ${plural(entries, 'entry', 'entries')}, ${plural(contents, 'object')} (${humanBytes(bytes)} read)`,
    );
    return faults === 0 ? EXIT.done : EXIT.failed;
  },
};

export const commands: readonly Command[] = [fsck];
