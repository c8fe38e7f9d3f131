import type { MethodCounts } from '../../store/bucket/metrics.js';
import type { Traffic } from '../../store/traffic.js';
import { fields } from '../arguments.js';
import type { Context } from '../context.js';
import type { OperationHandler } from '../operation.js';
import type { RepositoryRow } from '../protocol.js';
import type { MountStats, RepositoryStats } from '../protocol/stats.js';

export const stats: OperationHandler<'stats'> = {
  read: fields({}),
  run: async (context, _args, output) => {
    const { repositories } = context;
    for (const known of repositories.list()) {
      if (!repositories.isFar(known.name)) continue;
      await output.row(repositoryStats(known, repositories.traffic(known.name)));
      for (const row of mountStats(context, known.name)) await output.row(row);
    }
    return {};
  },
};

function repositoryStats({ name, storage }: RepositoryRow, traffic: Traffic): RepositoryStats {
  const { requests, retries, openSinceMs, reads } = traffic.counts();
  const all = Object.values(requests);
  const sum = (of: keyof MethodCounts): number =>
    all.reduce((total, counts) => total + counts[of], 0);
  return {
    kind: 'repository',
    repository: name,
    storage,
    since: new Date(traffic.sinceMs).toISOString(),
    requests: sum('requests'),
    retries,
    errors: sum('failures'),
    bytesSent: sum('bytesSent'),
    bytesFetched: sum('bytesReceived'),
    byKind: requests,
    ...(openSinceMs === undefined ? {} : { openSince: new Date(openSinceMs).toISOString() }),
    cache: reads,
  };
}

function mountStats({ mounts }: Context, repository: string): MountStats[] {
  return mounts.reads().flatMap(({ row, reads }) => {
    if (row.repository !== repository) return [];
    const { directory, ref, since = '' } = row;
    return {
      kind: 'mount',
      directory,
      repository,
      ...(ref === undefined ? {} : { ref }),
      since,
      ...(reads === undefined ? {} : { cache: reads }),
    };
  });
}
