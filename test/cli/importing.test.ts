import { mkdir, rename, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, Shell } from './shell.js';

const RUN = 'raw/2025-06-14/run-8421';
const MTIME = new Date('2025-06-14T05:31:07.250Z');

describe('a run that is imported where it lies', () => {
  let shell: Shell;
  let folder: string;

  beforeAll(async () => {
    shell = await Shell.open();
    await shell.must('repo', 'create', 'drive');
    folder = shell.path('data/run-8421');
    for (const [name, bytes] of [
      ['log.mcap', Buffer.alloc(3_000_000, 'lidar')],
      ['front/000001.jpg', 'jpeg'],
      ['notes é.txt', 'glare at 17:30'],
    ] as const) {
      await utimes(await shell.file(`data/run-8421/${name}`, bytes), MTIME, MTIME);
    }
  });

  afterAll(() => shell.dispose());

  it('is counted, staged and committed, and says where it lies', async () => {
    const args = ['import', `file://${folder}`, `drive/main/${RUN}`];
    expect(await shell.must(...args, '--dry-run')).toContain('would import 3 files');
    expect((await shell.tarn(['ls', `drive/main/${RUN}`])).code).toBe(1);
    expect(await shell.must(...args)).toContain('imported 3 files, 2.9 MiB from file:///');
    expect(await shell.must('status', 'drive/main')).toContain(`${RUN}/front/000001.jpg`);
    await shell.must('commit', 'drive/main', '-m', 'import run 8421');
    await shell.must('tag', 'create', 'drive/golden');
    const place = `drive/golden/${RUN}/notes é.txt`;
    const text = await shell.must('stat', place);
    expect(text).toMatch(/content +pinned:[0-9a-f]{64}/);
    expect(text).toMatch(/imported +from file:\/\/.*\/notes é\.txt/);
    expect(await shell.json('stat', place)).toMatchObject({
      importedFrom: `file://${folder}/notes é.txt`,
      mtime: '2025-06-14T05:31:07.250000000Z',
    });
    expect(await shell.must('cat', place)).toBe('glare at 17:30');
  });

  it('is the same under a mount, and in a copy of it', async () => {
    const mount = await shell.mountPoint('golden');
    await shell.must('mount', 'drive/golden', mount);
    expect(await run('diff', ['-r', folder, `${mount}/${RUN}`])).toMatchObject({ code: 0 });
    expect((await stat(`${mount}/${RUN}/log.mcap`)).mtimeMs).toBe(MTIME.getTime());
    const attribute = ['-n', 'user.tarn.imported', '--only-values', `${mount}/${RUN}/log.mcap`];
    expect((await run('getfattr', ['--absolute-names', ...attribute])).stdout).toBe(
      `file://${folder}/log.mcap`,
    );
    await shell.must('get', '-r', `drive/golden/${RUN}`, shell.path('copy'));
    expect(await run('diff', ['-r', folder, shell.path('copy')])).toMatchObject({ code: 0 });
    const inside = await shell.tarn(['import', `${mount}/${RUN}`, 'drive/main/again']);
    expect(inside).toMatchObject({ code: 2 });
    expect(inside.stderr).toContain('lies in the mount of tarn');
    await shell.must('umount', mount);
  });

  it('follows a rename of its folder in the repository, and shows as one', async () => {
    await shell.must('mv', 'drive/main/raw/2025-06-14', 'drive/main/glare');
    await shell.must('commit', 'drive/main', '-m', 'rename');
    expect(await shell.must('cat', 'drive/main/glare/run-8421/front/000001.jpg')).toBe('jpeg');
    const rows = await shell.jsonRows<{ change?: string }>('diff', 'drive/golden', 'main');
    expect(rows.filter(({ change }) => change === 'renamed')).toHaveLength(3);
  });

  it('is not served any more once it has changed, and says how', async () => {
    const path = shell.path('data/run-8421/front/000001.jpg');
    const place = `drive/golden/${RUN}/front/000001.jpg`;
    await writeFile(path, 'JPEG');
    const changed = await shell.tarn(['cat', place]);
    expect(changed).toMatchObject({ code: 1, stdout: '' });
    expect(changed.stderr).toContain(`the imported file '${path}' has changed`);
    expect(changed.stderr).toContain('4 bytes of 2025-06-14T05:31:07.250000000Z');
    expect(changed.stderr).toContain('import it again');
    const mount = await shell.mountPoint('changed');
    await shell.must('mount', 'drive/golden', mount);
    const read = await run('cat', [`${mount}/${RUN}/front/000001.jpg`]);
    expect(read).toMatchObject({ code: 1, stdout: '' });
    expect(read.stderr).toContain('Input/output error');
    await shell.must('umount', mount);

    await utimes(path, MTIME, MTIME);
    expect(await shell.must('cat', place)).toBe('JPEG');
    await rename(path, `${path}.gone`);
    const gone = await shell.tarn(['cat', place]);
    expect(gone.stderr).toContain(`the imported file '${path}' is not there`);
  });

  it('is read back by a verified import, whatever its time', async () => {
    await shell.must('import', '--verify', folder, 'drive/main/verified');
    const place = 'drive/main/verified/log.mcap';
    expect(await shell.json('stat', place)).toMatchObject({
      content: expect.stringMatching(/^merkle:/) as string,
      importedFrom: `file://${folder}/log.mcap`,
    });
    await utimes(`${folder}/log.mcap`, new Date(), new Date());
    expect((await shell.must('cat', place)).length).toBe(3_000_000);
  });

  it('is not waited for where a mount hides it: the mount would wait for itself', async () => {
    await rename(folder, `${folder}-away`);
    const mount = await shell.mountPoint('data/run-8421');
    await shell.must('mount', 'drive/golden', mount);
    const read = await run('cat', [`${mount}/${RUN}/log.mcap`]);
    expect(read).toMatchObject({ code: 1, stdout: '' });
    const place = `drive/golden/${RUN}/log.mcap`;
    expect((await shell.tarn(['cat', place])).stderr).toContain(`is hidden by the mount at`);
    await shell.must('umount', mount);
    await rmdir(mount);
    await rename(`${folder}-away`, folder);
    await utimes(`${folder}/log.mcap`, MTIME, MTIME);
    expect((await shell.must('cat', place)).length).toBe(3_000_000);
  });

  it('is refused for what is no local folder', async () => {
    await mkdir(shell.path('here'));
    const cases: [string, number, string][] = [
      ['file:data/run-8421', 1, 'there is no file or folder'],
      ['file://data/run-8421', 2, 'not an absolute URL'],
      ['ftp://drive/run-8421', 1, "'ftp://' is unknown"],
      ['', 2, 'empty name'],
      [shell.path('nowhere'), 1, 'there is no file or folder'],
      [shell.path('home'), 2, 'tarn keeps its own files'],
    ];
    for (const [url, code, words] of cases) {
      const ran = await shell.tarn(['import', url, 'drive/main/x']);
      expect([url, ran.code]).toEqual([url, code]);
      expect(ran.stderr).toContain(words);
    }
    const tag = await shell.tarn(['import', folder, 'drive/golden~1/x']);
    expect(tag).toMatchObject({ code: 2 });
  });
});
