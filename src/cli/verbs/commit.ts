import { committedLine } from '../../daemon/texts.js';
import { ask, author } from '../ask.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { noteLeft } from '../left.js';
import { META_OPTION, parseMetadata } from '../metadata.js';
import { WORKSPACE, workspaceOf } from '../places.js';

const commit: Command = {
  name: 'commit',
  summary: 'Commit what is staged on a branch, all at once',
  positionals: [WORKSPACE],
  options: {
    message: { short: 'm', value: 'TEXT', what: 'why, at most 64 KiB (required)' },
    meta: META_OPTION,
    path: {
      value: 'PATH',
      many: true,
      what: 'commit only what lies at or below PATH, given from the root of the branch; may be repeated',
    },
    wait: {
      what: 'first wait until no program has a file of the branch open for writing, in mounts of it',
    },
    author: { value: 'TEXT', what: 'who, on one line; else $TARN_AUTHOR, else your user name' },
  },
  notes: [
    'Prints the id of the new commit. If someone else committed to the branch in the meantime, both changes are kept, unless they touch the same paths: then nothing is lost, the paths are named and the exit code is 3.',
    'Of a branch that is mounted for writing it takes what programs have changed there up to now; they go on meanwhile. A file that a program is writing is taken as of one instant. One that changes without a pause is left out, as it was before, and named; what is written after that instant belongs to the next commit.',
  ],
  examples: [
    { command: "tarn commit drive/main -m 'Ingest run 8421'", what: 'all that is staged' },
    {
      command: "tarn commit drive/main -m 'New lens' --meta vehicle=av-07 --path calibration",
      what: 'only below calibration, with metadata',
    },
  ],
  async run(input, context) {
    const { repository, branch } = workspaceOf(input.positionals[0] ?? '');
    const message = input.value('message');
    if (message === undefined || message.trim() === '') {
      throw new UsageError('a commit needs a message', "say why: -m 'Ingest run 8421'");
    }
    const made = await ask(context, 'commit', {
      repository,
      branch,
      message,
      metadata: parseMetadata(input.values('meta')),
      paths: input.values('path'),
      wait: input.flag('wait'),
      author: input.value('author') ?? author(),
    });
    const { terminal } = context;
    const name = (text: string): string => terminal.name(text);
    await terminal.result(made, committedLine(made, `${repository}/${branch}`, name));
    noteLeft(terminal, made.left ?? []);
  },
};

export const commands: readonly Command[] = [commit];
