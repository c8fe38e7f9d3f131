import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keyFromText } from '../../src/model/path.js';
import { PORTABLE_CALLS } from '../../src/overlay/bytes/file-calls.js';
import { Overlay } from '../../src/overlay/overlay.js';
import { WorkspaceFilesystem } from '../../src/overlay/workspace-filesystem.js';
import { MemoryView } from '../vfs/memory-view.mjs';
import { NEVER, OWNER, ROOT, WRITE } from './mount-model.js';

it('asks whether a file is mapped again once it was opened', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tarn-maps-'));
  let isMapped = false;
  const calls = { ...PORTABLE_CALLS, isWrittenElsewhere: () => isMapped };
  const overlay = Overlay.open(folder, new MemoryView([]), { calls });
  const fs = new WorkspaceFilesystem(overlay, { uid: 1, gid: 2, umask: 0 });
  try {
    const made = await fs.create(ROOT, keyFromText('log'), OWNER, WRITE, NEVER);
    if (typeof made === 'string') throw new Error(made);
    const node = overlay.node(made.attributes.inode);
    if (node === undefined) throw new Error('it is not there');
    // While it is open, nothing is known of it.
    await overlay.files.lookForMaps([node]);
    isMapped = true;
    fs.release(made.opened.handle);
    expect(overlay.files.isMapped(node)).toBe(true);
    isMapped = false;
    await overlay.files.lookForMaps([node]);
    isMapped = true;
    expect(overlay.files.isMapped(node)).toBe(false);
    const again = await fs.openFor(node.inode, WRITE, NEVER);
    if (typeof again === 'string') throw new Error(again);
    fs.release(again.handle);
    expect(overlay.files.isMapped(node)).toBe(true);
  } finally {
    fs.close();
    await overlay.close();
    rmSync(folder, { recursive: true });
  }
});
