import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { refIn } from '../places.js';

const mergeBase: Command = {
  name: 'merge-base',
  summary: 'Print the commit that two commits last had in common',
  positionals: [
    { name: 'REPO', what: 'the repository, as drive' },
    { name: 'A', what: 'a ref, as main' },
    { name: 'B', what: 'another, as incident-2025-06-14-8421-glare' },
  ],
  options: { all: { what: 'print all of them, newest first, where there are several' } },
  notes: [
    'That is a commit which both lead to and no other such commit leads to. There are several where each side merged the other. The exit code is 1 where the histories have no commit in common.',
  ],
  examples: [
    {
      command: 'tarn merge-base drive main incident-2025-06-14-8421-glare',
      what: 'where the incident was branched off, or last merged',
    },
  ],
  async run(input, context) {
    const [repository = '', a = '', b = ''] = input.positionals;
    const { bases } = await ask(context, 'merge-base', {
      repository,
      a: refIn(repository, a),
      b: refIn(repository, b),
    });
    const shown = input.flag('all') ? bases : bases.slice(0, 1);
    for (const commit of shown) await context.terminal.row({ commit }, () => commit);
  },
};

export const commands: readonly Command[] = [mergeBase];
