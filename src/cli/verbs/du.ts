import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { humanBytes, plural } from '../../util/format.js';
import { ADDRESS, placeOf } from '../places.js';

const du: Command = {
  name: 'du',
  summary: 'Count files and bytes at and below a path, however many there are, in an instant',
  positionals: [ADDRESS],
  options: {},
  examples: [{ command: 'tarn du drive/main/raw', what: 'how much raw holds' }],
  async run(input, context) {
    const found = await ask(context, 'du', placeOf(input.positionals[0] ?? ''));
    const text = `${humanBytes(found.bytes)}  ${plural(found.entries, 'entry', 'entries')}  ${found.path === '' ? '/' : found.path}`;
    await context.terminal.result(found, text);
  },
};

export const commands: readonly Command[] = [du];
