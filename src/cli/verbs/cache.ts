import { parseSize } from '../../cache/cache-limits.js';
import { humanBytes, plural } from '../../util/format.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';

const show: Command = {
  name: 'cache show',
  summary: 'Show what is kept on this machine of repositories in buckets',
  positionals: [],
  options: {},
  notes: [
    'There is one cache for all mounts and repositories of the home; TARN_CACHE_DIR names one that several homes of a user share. TARN_CACHE_SIZE limits its bytes (64GiB if not set), TARN_CACHE_FREE says how much of its disk stays free (a twentieth of it if not set). A daemon reads them when it starts; daemon start has options for both limits. Hits, misses and fetches are those of its mounts and commands since then.',
  ],
  examples: [{ command: 'tarn cache show', what: 'where it is, how large, and what it saved' }],
  async run(_input, context) {
    const state = await ask(context, 'cache.show', {});
    const { directory, objects, bytes, bytesMax, freeBytesMin } = state;
    await context.terminal.result(
      state,
      [
        `${directory}: ${plural(objects, 'object')}, ${humanBytes(bytes)} of at most ${humanBytes(bytesMax)}, ${humanBytes(freeBytesMin)} of the disk stay free`,
        `read from it ${plural(state.hits, 'time')}, ${humanBytes(state.hitBytes)}; fetched ${plural(state.fetches, 'time')}, ${humanBytes(state.fetchedBytes)}`,
        `damaged and fetched again ${plural(state.healed, 'time')}; evicted ${plural(state.evicted, 'object')}, ${humanBytes(state.evictedBytes)}; no room ${plural(state.refused, 'time')}`,
      ].join('\n'),
    );
  },
};

const verify: Command = {
  name: 'cache verify',
  summary: 'Check what is cached against its hashes',
  positionals: [],
  options: {},
  notes: [
    'Nothing needs this: every byte is checked before it is used. What is damaged is dropped, and fetched again when it is read. What could only be checked by bytes that are not cached is counted as unchecked.',
  ],
  examples: [{ command: 'tarn cache verify', what: 'after the disk had a fault' }],
  async run(_input, context) {
    const { terminal } = context;
    const counts = await ask(
      context,
      'cache.verify',
      {},
      {
        onProgress: ({ files, bytes }) =>
          terminal.status(`checked ${plural(files, 'object')}, ${humanBytes(bytes)}`),
      },
    );
    terminal.clearStatus();
    const { objects, bytes, unchecked, damaged } = counts;
    await terminal.result(
      counts,
      `${plural(objects, 'object')}: ${humanBytes(bytes)} checked, ${humanBytes(damaged)} damaged and dropped, ${humanBytes(unchecked)} unchecked`,
    );
  },
};

const prune: Command = {
  name: 'cache prune',
  summary: 'Make the cache smaller',
  positionals: [],
  options: {
    size: { value: 'BYTES', what: 'how much may be left, as 10GB or 4GiB; nothing if not given' },
  },
  notes: [
    'What was used longest ago goes first; what is open stays. All of it can be fetched again.',
  ],
  examples: [{ command: 'tarn cache prune --size 10GB', what: 'keep what was used last' }],
  async run(input, context) {
    const given = input.value('size');
    const bytesMax = given === undefined ? 0 : parseSize(given);
    if (bytesMax === undefined) {
      throw new UsageError(`--size takes bytes, as 10GB or 4GiB, not '${given ?? ''}'`);
    }
    const pruned = await ask(context, 'cache.prune', { bytesMax });
    const { objects, bytes, objectsLeft, bytesLeft } = pruned;
    await context.terminal.result(
      pruned,
      `removed ${plural(objects, 'object')}, ${humanBytes(bytes)}; ${plural(objectsLeft, 'object')}, ${humanBytes(bytesLeft)} are left`,
    );
  },
};

export const commands: readonly Command[] = [show, verify, prune];
