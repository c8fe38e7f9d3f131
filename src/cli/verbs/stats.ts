import type { MountStats, RepositoryStats, StatsRow } from '../../daemon/protocol/stats.js';
import type { ReadCounts } from '../../store/traffic.js';
import { countsText, humanBytes, plural, shortDate } from '../../util/format.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';

const stats: Command = {
  name: 'stats',
  summary: 'Count requests, bytes and cache hits of repositories in buckets',
  positionals: [],
  options: {},
  notes: [
    'Since the daemon started, for each repository in a bucket: requests by kind, those that were retried and those that failed, bytes of objects, and what reads found in the cache. Work in threads of its own, as a commit is, counts when it has ended.',
    'Below a repository are its mounts, each with what was read of files through it. Directories, and reads that the kernel answered, are not known by mount; those of a mount for writing are in the numbers of the repository alone.',
  ],
  examples: [
    { command: 'tarn stats', what: 'a few lines for each repository' },
    { command: 'tarn stats --json', what: 'one object a line, for scripts' },
  ],
  async run(_input, context) {
    const { terminal } = context;
    const onRow = (row: StatsRow): Promise<void> | void =>
      terminal.row(row, () => terminal.text(textOf(row)));
    await ask(context, 'stats', {}, { onRow });
  },
};

function textOf(row: StatsRow): string {
  return (row.kind === 'repository' ? repositoryLines(row) : mountLines(row)).join('\n');
}

function repositoryLines(row: RepositoryStats): string[] {
  const kinds = Object.entries(row.byKind).map(([kind, { requests }]) => [kind, requests] as const);
  const byKind = kinds.length === 0 ? '' : ` (${countsText(Object.fromEntries(kinds))})`;
  return [
    `${row.repository}  ${row.storage}  since ${shortDate(row.since)}`,
    `  ${plural(row.requests, 'request')}${byKind}, ${plural(row.retries, 'retry', 'retries')}, ${plural(row.errors, 'error')}`,
    `  fetched ${humanBytes(row.bytesFetched)}, sent ${humanBytes(row.bytesSent)}`,
    `  ${cacheLine(row.cache)}`,
    ...(row.openSince === undefined
      ? []
      : [`  does not answer since ${shortDate(row.openSince)}: asked only now and then`]),
  ];
}

function mountLines({ directory, repository, ref, since, cache }: MountStats): string[] {
  const shown = ref === undefined ? repository : `${repository}/${ref}`;
  return [
    `  ${directory}  ${shown}  since ${shortDate(since)}`,
    ...(cache === undefined ? [] : [`    ${cacheLine(cache)}`]),
  ];
}

function cacheLine({ hits, misses, hitBytes, fetches, fetchedBytes, healed }: ReadCounts): string {
  const damaged = healed === 0 ? '' : `; damaged and fetched again ${plural(healed, 'time')}`;
  return `cache: ${plural(hits, 'hit')}, ${humanBytes(hitBytes)}; ${plural(misses, 'miss', 'misses')}, ${plural(fetches, 'fetch', 'fetches')}, ${humanBytes(fetchedBytes)}${damaged}`;
}

export const commands: readonly Command[] = [stats];
