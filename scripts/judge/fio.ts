import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkOf, run, type Check, type Judge } from './judge.js';

const KINDS: readonly (readonly [string, readonly string[]])[] = [
  ['sequential, 1 MiB', ['--rw=write', '--bs=1m']],
  ['random, 4 KiB', ['--rw=randwrite', '--bs=4k']],
  ['random reads and writes, 512 B to 64 KiB', ['--rw=randrw', '--bsrange=512-65536']],
  ['random, 4 KiB, mapped', ['--rw=randwrite', '--bs=4k', '--ioengine=mmap']],
  ['random, with fsync', ['--rw=randwrite', '--bs=16k', '--fsync=32']],
  ['four processes', ['--rw=randwrite', '--bs=8k', '--numjobs=4']],
  ['several in flight', ['--rw=randwrite', '--bs=4k', '--ioengine=libaio', '--iodepth=8']],
];

/** Writes with a checksum in every block, then reads all of them. */
export const fio: Judge = {
  name: 'fio',
  needs: ['fio'],
  async run({ directory, scratch }, isFull) {
    const folder = join(directory, 'fio');
    mkdirSync(folder);
    const checks: Check[] = [];
    for (const [at, [kind, how]] of KINDS.entries()) {
      const ran = await run(
        'fio',
        [
          `--name=verify-${at}`,
          `--directory=${folder}`,
          `--size=${isFull ? 512 : 16}m`,
          '--verify=crc32c',
          '--do_verify=1',
          '--verify_fatal=1',
          '--randseed=8421',
          '--fallocate=none',
          '--unlink=1',
          ...how,
        ],
        { cwd: scratch, seconds: 900 },
      );
      checks.push(checkOf(kind, ran));
    }
    return { checks };
  },
};
