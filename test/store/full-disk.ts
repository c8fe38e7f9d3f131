import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FullDisk {
  readonly path: string;
  /** Makes room for 8 MB. */
  readonly freeSpace: () => void;
}

/**
 * Runs `work` on a file system of its own with 1 MB left. Only root can mount one; elsewhere the
 * test fails with mount's words, so that nobody takes it for passed.
 */
export async function withFullDisk(work: (disk: FullDisk) => Promise<void>): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'tarn-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=9m', 'tarn-test', path]);
    try {
      writeFileSync(join(path, 'ballast'), Buffer.alloc(8 << 20));
      await work({ path, freeSpace: () => rmSync(join(path, 'ballast')) });
    } finally {
      execFileSync('umount', [path]);
    }
  } finally {
    rmSync(path, { recursive: true });
  }
}
