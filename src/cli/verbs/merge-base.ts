import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { refIn, refPlaceOf } from '../places.js';

const mergeBase: Command = {
  name: 'merge-base',
  summary: 'Print the commit that two commits last had in common',
  positionals: [
    { name: 'A', what: 'repository/ref, as drive/main' },
    { name: 'B', what: 'another ref of it, bare or with the repository' },
  ],
  options: { all: { what: 'print all of them, newest first, where there are several' } },
  notes: [
    'That is a commit which both lead to and no other such commit leads to. There are several where each side merged the other. The exit code is 1 where the histories have no commit in common.',
  ],
  examples: [
    {
      command: 'tarn merge-base drive/main incident-2025-06-14-8421-glare',
      what: 'where the incident was branched off, or last merged',
    },
  ],
  async run(input, context) {
    const [given = '', other = ''] = input.positionals;
    const { repository, ref: a } = refPlaceOf(given);
    const b = refIn(repository, other);
    const { bases } = await ask(context, 'merge-base', { repository, a, b });
    const shown = input.flag('all') ? bases : bases.slice(0, 1);
    for (const commit of shown) await context.terminal.row({ commit }, () => commit);
  },
};

export const commands: readonly Command[] = [mergeBase];
