import type { MountOwner, MountRow } from '../../daemon/protocol.js';
import { parseRepositoryOrRef } from '../../model/address.js';
import { checkMountPoint } from '../../mount/mount-point.js';
import { asTarnError } from '../../util/errors.js';
import { ask, author } from '../ask.js';
import type { Command, Input } from '../command.js';
import { UsageError } from '../command.js';
import { shortId } from '../../util/format.js';
import { wholeNumber } from '../parse.js';
import { workspaceOf } from '../places.js';

const mount: Command = {
  name: 'mount',
  summary: 'Mount a commit, a branch or a whole repository as a directory',
  positionals: [
    {
      name: 'REF',
      what: 'repository/ref, as drive/golden, or a repository alone, for all of it by its names; a branch means its newest commit, and the mount stays at that commit, unless --follow or --write',
    },
    { name: 'DIR', what: 'an existing, empty directory' },
  ],
  options: {
    write: {
      short: 'w',
      what: 'programs may change the branch: tarn commit commits what they did; REF must be a branch',
    },
    follow: {
      what: 'show each new commit of the branch as soon as it is made; REF must be a branch',
    },
    private: {
      what: 'with --write: in a workspace of its own on the branch, which no other mount or command shows until it is committed',
    },
    uid: { value: 'N', what: 'with --write: the owner of what no program gave another; else you' },
    gid: {
      value: 'N',
      what: 'with --write: the group of what no program gave another; else yours',
    },
    umask: {
      value: 'MODE',
      what: 'with --write: permission bits that no file shows, in octal, as 027; else none',
    },
    author: {
      value: 'TEXT',
      what: 'with --write: who commits through .tarn/commit; else $TARN_AUTHOR, else your user name',
    },
    driver: {
      value: 'NAME',
      what: 'native (the default: the kernel protocol, at disk speed) or fuse-native (through libfuse 2)',
    },
    offline: {
      what: 'of a repository in a bucket: never ask the network; what is not in the cache is an I/O error',
    },
    'allow-other': {
      what: 'let other users in; a mount by root lets them in anyway, as the modes say',
    },
  },
  notes: [
    'Nothing is copied. Files carry extended attributes (user.tarn.repository, .ref, .commit, .path, .content) that tell where they come from, and /proc/mounts names repository and commit. The daemon serves the mount until tarn umount or tarn daemon stop. When it was killed, the next command that starts one mounts again what it had, at the same place and the same commit.',
    'A repository alone shows branches/NAME, tags/NAME, commits/ID and at/TIME/BRANCH, as at/2025-06-14/main, each as it never changes: a name leads to what it names when it is looked up.',
    'With --follow the directory shows another commit as soon as the branch has one, whoever made it: what did not change keeps its inode number, and files that are open go on being those that were opened. When the branch is deleted the mount stays at the last commit, and tarn mounts says so.',
    'With --offline a ref means what it was when this machine last asked; fill the cache before with tarn prefetch. The log names what was asked for and is not cached.',
    'With --write the mount shows the branch with what is staged on it, and whatever programs do there is staged: it survives the end of the daemon, shows in tarn status and in every other mount of the branch at once, and belongs to no commit until tarn commit.',
    'At its root there is a directory .tarn that no listing shows: status and log read as tarn status and tarn log, and a message that is written to commit, in one go, commits what programs have changed; the write returns when that is done, and commit then reads what came of it. Lines "key: value" as the last paragraph of the message become metadata.',
  ],
  examples: [
    { command: 'tarn mount drive/golden /mnt/golden', what: 'a tag' },
    {
      command: 'tarn mount --write drive/incident-2025-06-14-8421-glare /mnt/fix',
      what: 'a branch, to relabel its frames with any tool',
    },
    {
      command: 'tarn mount drive /mnt/drive',
      what: 'all of it: diff -r /mnt/drive/branches/main /mnt/drive/at/2025-06-14/main',
    },
    {
      command: 'tarn mount --follow drive/main /mnt/main',
      what: 'the newest commit of main, always',
    },
    {
      command: 'tarn mount --write --private drive/main /mnt/mine',
      what: 'a workspace that is called drive/main+1, say',
    },
    { command: 'tarn mount --write drive/main+1 /mnt/mine', what: 'the same, mounted again' },
    {
      command: 'tarn mount drive/main~1 /mnt/before',
      what: 'the commit before the newest of main',
    },
    {
      command: "tarn mount 'drive/main@{2025-06-14}' /mnt/then",
      what: 'main as it was when that day began, in UTC',
    },
  ],
  async run(input, context) {
    const [what = '', given = ''] = input.positionals;
    const place = placeOf(what, input.flag('write'));
    const driver = input.value('driver') ?? 'native';
    if (driver !== 'native' && driver !== 'fuse-native') {
      throw new UsageError(`there is no driver '${driver}'`, 'it is native or fuse-native');
    }
    const directory = await checkMountPoint(given);
    const allowOther = input.flag('allow-other');
    const follow = input.flag('follow');
    if (follow && input.flag('write')) {
      throw new UsageError(
        '--follow is for mounts that cannot be written',
        'leave one of them out',
      );
    }
    const offline = input.flag('offline');
    if (offline && (follow || input.flag('write'))) {
      throw new UsageError(
        '--offline is for mounts of a commit',
        'leave --follow and --write out: both need the bucket',
      );
    }
    const kind = offline ? { offline } : follow ? { follow } : writeOf(input);
    const args = { ...place, directory, driver, allowOther, ...kind } as const;
    const made = await ask(context, 'mount', args).catch((error: unknown) => {
      const fault = asTarnError(error);
      if (fault.kind !== 'read-only') throw error;
      throw new UsageError(fault.message, fault.hint);
    });
    await context.terminal.result(made, lineOf(made));
  },
};

function lineOf({ directory, repository, ref, commit, write, follow }: MountRow): string {
  if (ref === undefined || commit === undefined) return `mounted ${repository} on ${directory}`;
  const moves = write === true || follow === true;
  const how = write === true ? ' for writing' : follow === true ? ' to follow it' : '';
  const at = `${moves ? 'at commit' : 'commit'} ${shortId(commit)}`;
  return `mounted ${repository}/${ref} (${at}) on ${directory}${how}`;
}

/** A private workspace is no ref: nothing else can be mounted by its name. */
function placeOf(text: string, writes: boolean): { repository: string; ref?: string } {
  if (writes && /\+[0-9]+$/.test(text)) {
    const { repository, branch } = workspaceOf(text);
    return { repository, ref: branch };
  }
  const { repository, ref } = parseRepositoryOrRef(text);
  return { repository, ...(ref === undefined ? {} : { ref: ref.text }) };
}

function writeOf(input: Input): { write?: MountOwner } {
  const owner = {
    ...(input.flag('private') ? { isPrivate: true } : {}),
    uid: numberOf(input, 'uid') ?? process.getuid?.() ?? 0,
    gid: numberOf(input, 'gid') ?? process.getgid?.() ?? 0,
    umask: umaskOf(input),
    author: input.value('author') ?? author(),
  };
  if (input.flag('write')) return { write: owner };
  const given = ['uid', 'gid', 'umask', 'author'].find((name) => input.value(name) !== undefined);
  if (input.flag('private')) throw new UsageError('--private needs --write');
  if (given === undefined) return {};
  throw new UsageError(`--${given} needs --write`, 'a mount of a commit is shown as it is');
}

function numberOf(input: Input, name: string): number | undefined {
  const value = input.value(name);
  return value === undefined ? undefined : wholeNumber(value, name);
}

function umaskOf(input: Input): number {
  const value = input.value('umask') ?? '0';
  if (/^[0-7]{1,4}$/.test(value)) return Number.parseInt(value, 8) & 0o777;
  throw new UsageError(`--umask takes octal digits, as 027, not '${value}'`);
}

export const commands: readonly Command[] = [mount];
