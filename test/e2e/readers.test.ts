import { mkdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sandbox } from './sandbox.js';

const RUN = 'raw/2025-06-14/run-8421';

describe.each(['native', 'fuse-native'])(
  'unmodified programs on a commit mounted by %s',
  (driver) => {
    let sandbox: Sandbox;
    let original: string;
    let mounted: string;

    beforeAll(async () => {
      sandbox = await Sandbox.create();
      original = sandbox.path('original');
      mounted = sandbox.path('mounted');
      await mkdir(mounted);
      await sandbox.python('make_samples.py', original);
      await sandbox.tarn('repo', 'create', 'drive');
      await sandbox.tarn('put', '-r', original, 'drive/main');
      await sandbox.tarn('commit', 'drive/main', '-m', 'Ingest', '--meta', 'calibration=v7');
      await sandbox.tarn('tag', 'create', 'drive/golden', 'main');
      await sandbox.tarn('mount', 'drive/golden', mounted, '--driver', driver);
    });

    afterAll(() => sandbox.dispose());

    /** Runs a program twice, on the original and on the mount; both must say the same. */
    async function same(program: string, args: (folder: string) => string[]): Promise<string> {
      const before = await sandbox.must(program, ...args(original));
      const after = await sandbox.must(program, ...args(mounted));
      expect(after.replaceAll(mounted, '')).toBe(before.replaceAll(original, ''));
      return after;
    }

    it('mcap, rosbags, laspy, pydicom, h5py and numpy read message for message what was put', async () => {
      const before = await sandbox.python('read_samples.py', original);
      const after = await sandbox.python('read_samples.py', mounted);
      expect(JSON.parse(after)).toEqual(JSON.parse(before));
      expect(JSON.parse(after)).toMatchObject({
        mcap: { messages: 600 },
        rosbag1: { messages: 2_000 },
        las: { points: 50_000 },
      });
    });

    it('ffmpeg decodes the same frames', async () => {
      const hash = await same('ffmpeg', (folder) => {
        return ['-v', 'error', '-i', `${folder}/${RUN}/front.mp4`, '-f', 'framemd5', '-'];
      });
      expect(hash.split('\n').filter((line) => /^0,/.test(line))).toHaveLength(100);
    });

    it('the Point Cloud Library filters the same cloud', async () => {
      const clouds = [];
      for (const [name, folder] of [
        ['a', original],
        ['b', mounted],
      ] as const) {
        const output = sandbox.path(`${name}.pcd`);
        await sandbox.must(
          'pcl_voxel_grid',
          `${folder}/${RUN}/cloud.pcd`,
          output,
          '-leaf',
          '1,1,1',
        );
        clouds.push(await readFile(output));
      }
      expect(clouds[0]?.length).toBeGreaterThan(1_000);
      expect(clouds[1]?.equals(clouds[0] ?? Buffer.alloc(0))).toBe(true);
    });

    it('find, grep -r, md5sum and less see the same files', async () => {
      const format = '%P %y %s %m %l %T@\n';
      // fuse-native carries times as JavaScript dates, to the millisecond.
      const cut = driver === 'native' ? '' : "| sed -E 's/([0-9]{3})[0-9]{7}$/\\1/'";
      const find = `find "$0" -mindepth 1 ! -type d -printf '${format}' ${cut} | sort`;
      const listing = await same('sh', (folder) => ['-c', find, folder]);
      expect(listing.split('\n')).toHaveLength(311);
      await same('sh', (folder) => [
        '-c',
        'cd "$0" && find . -type f -print0 | sort -z | xargs -0 md5sum',
        folder,
      ]);
      await same('sh', (folder) => ['-c', 'cd "$0" && grep -r glare=True frames | sort', folder]);
      await same('sh', (folder) => ['-c', 'less "$0/frames/000007.txt" | cat', folder]);
    });

    it('cp -a, rsync and tar take it all along: bytes, modes, times and links', async () => {
      await sandbox.must('cp', '-a', '--no-preserve=xattr', `${mounted}/.`, sandbox.path('copied'));
      await sandbox.must('diff', '-r', '--no-dereference', original, sandbox.path('copied'));
      await sandbox.must('rsync', '-a', `${mounted}/`, sandbox.path('synced'));
      const differences = await sandbox.must(
        'rsync',
        '-anic',
        '--delete',
        '--omit-dir-times',
        `${original}/`,
        sandbox.path('synced'),
      );
      expect(differences).toBe('');
      await sandbox.must(
        'sh',
        '-c',
        'tar c -C "$0" . | tar d -C "$1" | grep -v "Mod time" || :',
        mounted,
        original,
      );
      await sandbox.must(
        'sh',
        '-c',
        'tar c -C "$0" . -f "$2" && mkdir "$1" && tar x -C "$1" -f "$2"',
        mounted,
        sandbox.path('untarred'),
        sandbox.path('all.tar'),
      );
      await sandbox.must('diff', '-r', '--no-dereference', original, sandbox.path('untarred'));
    });

    it('a script on the mount runs, a write is refused as on a read-only disk', async () => {
      expect(await sandbox.must(`${mounted}/replay.sh`)).toBe('replaying\n');
      const refused = await sandbox.run('sh', ['-c', `echo x > ${mounted}/replay.sh`]);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toContain('Read-only file system');
    });

    it('every file tells where it comes from', async () => {
      const attribute = async (name: string, path: string): Promise<string> =>
        sandbox.must(
          'getfattr',
          '--only-values',
          '--absolute-names',
          '-n',
          name,
          `${mounted}${path}`,
        );
      const log = `/${RUN}/lidar.mcap`;
      expect(await attribute('user.tarn.repository', log)).toBe('drive');
      expect(await attribute('user.tarn.ref', log)).toBe('golden');
      expect(await attribute('user.tarn.path', log)).toBe(log.slice(1));
      expect(await attribute('user.tarn.content', log)).toMatch(/^merkle:[0-9a-f]{64}$/);
      const commit = await attribute('user.tarn.commit', log);
      expect(commit).toMatch(/^[0-9a-f]{64}$/);
      expect(await attribute('user.tarn.meta.calibration', '')).toBe('v7');
      const line = (await readFile('/proc/mounts', 'utf8'))
        .split('\n')
        .find((l) => l.includes(mounted));
      expect(line).toContain('drive');
      expect(line).toContain(commit.slice(0, 12));
      const small = await attribute('user.tarn.content', '/replay.sh');
      const sum = await sandbox.must('sha256sum', `${original}/replay.sh`);
      expect(small).toBe(`sha256:${sum.split(' ')[0]}`);
    });

    it('df shows the true size of the commit', async () => {
      const bytes = Number(
        (await sandbox.tarn('du', 'drive/golden', '--json')).match(/"bytes":\s*(\d+)/)?.[1],
      );
      const apparent = await sandbox.must(
        'sh',
        '-c',
        'find "$0" ! -type d -printf "%s\\n" | awk "{s+=\\$1}END{print s}"',
        original,
      );
      expect(bytes).toBe(Number(apparent));
      const blocks = await sandbox.must('stat', '-f', '-c', '%b %S', mounted);
      const [count, size] = blocks.split(' ').map(Number);
      expect((count ?? 0) * (size ?? 0)).toBeGreaterThanOrEqual(bytes);
      expect((count ?? 0) * (size ?? 0)).toBeLessThan(bytes + 8_192);
    });
  },
);
