import { mkdir, rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sandbox } from './sandbox.js';
import { WRITERS } from './writers.js';

describe('unmodified programs that write, on the disk', () => {
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    await sandbox.python('make_samples.py', sandbox.path('original'));
  });

  afterAll(() => sandbox.dispose());

  it.each(WRITERS)('$name', async (writer) => {
    const folders = ['one', 'two'].map((name) => sandbox.path(name, writer.name));
    const said = [];
    for (const folder of folders) {
      await mkdir(folder, { recursive: true });
      await sandbox.must('cp', '-a', `${sandbox.path('original')}/.`, folder);
      said.push(await writer.run(sandbox, folder));
    }
    console.log(writer.name, said[0]);
    expect(said[1]).toBe(said[0]);
    if (writer.writesSame) await sandbox.must('diff', '-r', '--no-dereference', ...folders);
    for (const folder of folders) await rm(folder, { recursive: true });
  });
});
