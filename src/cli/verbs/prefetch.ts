import { humanBytes, plural } from '../../util/format.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { ADDRESS, placeOf } from '../places.js';

const prefetch: Command = {
  name: 'prefetch',
  summary: 'Fetch files of a moment into the cache of this machine',
  positionals: [ADDRESS],
  options: {
    pattern: {
      value: 'GLOB',
      what: "only what matches below ADDRESS, as '**/*.mcap'",
    },
  },
  notes: [
    'For a repository in a bucket: what was fetched is read from this machine from then on, also by mounts with --offline. Interrupted and run again it goes on where it was. What does not fit into the cache (tarn cache show) evicts what was used longest ago.',
  ],
  examples: [
    { command: 'tarn prefetch drive/golden', what: 'all of it, before the network is gone' },
    {
      command: "tarn prefetch drive/main/raw/2025-06-14 --pattern '**/*.mcap'",
      what: 'the logs of a day',
    },
  ],
  async run(input, context) {
    const { terminal } = context;
    const place = placeOf(input.positionals[0] ?? '');
    const pattern = input.value('pattern');
    const args = { ...place, ...(pattern === undefined ? {} : { pattern }) };
    const done = await ask(context, 'prefetch', args, {
      onProgress: ({ files, bytes }) =>
        terminal.status(`${plural(files, 'file')}, ${humanBytes(bytes)}`),
    });
    terminal.clearStatus();
    await terminal.result(
      done,
      `${plural(done.files, 'file')}, ${humanBytes(done.bytes)} are in the cache`,
    );
  },
};

export const commands: readonly Command[] = [prefetch];
