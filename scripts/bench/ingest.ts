import { rm } from 'node:fs/promises';
import type { Lab } from './lab.js';
import { writeLog } from './large-log.js';
import { makeFiles } from './many-files.js';
import type { Measurement } from './report.js';

/** put and commit of many small files and one large one, against cp -r and sync of the same. */
export async function ingest(lab: Lab, count: number, mib: number): Promise<Measurement[]> {
  const source = lab.path('drive');
  makeFiles(`${source}/labels`, count, 4096);
  await writeLog(`${source}/run-8421.mcap`, mib * 1_048_576);
  await lab.dropCaches();
  const disk = await lab.time(() =>
    lab.run('sh', '-c', 'cp -r "$0" "$1" && sync', source, lab.path('copy')),
  );
  await lab.run('rm', '-rf', lab.path('copy'));
  await lab.tarn('repo', 'create', 'drive');
  await lab.tarn('daemon', 'stop');
  await lab.tarn('daemon', 'start');
  await lab.dropCaches();
  const put = await lab.time(() => lab.tarn('put', '-r', source, 'drive/main'));
  const commit = await lab.time(() => lab.tarn('commit', 'drive/main', '-m', 'ingest run-8421'));
  const daemonMib = await lab.daemonPeakMib();
  await rm(source, { recursive: true });
  const what = `${count.toLocaleString('en')} × 4 KiB and one of ${mib} MiB`;
  const line = { driver: '', unit: 's', daemonMib } as const;
  return [
    { ...line, workload: `put -r and commit, ${what}, durable`, disk, tarn: put + commit, goal: 2 },
    { ...line, workload: 'of which commit', tarn: commit },
  ];
}
