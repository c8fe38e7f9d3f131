import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { ADDRESS, placeOf } from '../places.js';

const cat: Command = {
  name: 'cat',
  summary: "Print a file's bytes",
  positionals: [ADDRESS],
  options: {
    range: {
      value: 'A-B',
      what: 'only bytes A to B, both counted from 0 and included; A- is all from A, -N the last N',
    },
  },
  notes: ['Every byte is checked by its hash before it is printed.'],
  examples: [
    { command: 'tarn cat drive/golden/calibration/front.yaml', what: 'a file of a tag' },
    {
      command: 'tarn cat drive/main/raw/2025-06-14/run-8421/log.mcap --range 0-7 | xxd',
      what: 'its first 8 bytes',
    },
  ],
  async run(input, context) {
    const place = placeOf(input.positionals[0] ?? '');
    const range = input.value('range');
    if (context.terminal.json) {
      throw new UsageError(
        'cat prints bytes, which are not JSON',
        "'tarn stat --json' describes a file",
      );
    }
    const { start, end } = range === undefined ? {} : parseRange(range);
    const last = start !== undefined && start < 0 ? -start : undefined;
    let from = start;
    if (last !== undefined) {
      const { size = 0 } = await ask(context, 'stat', place);
      from = Math.max(0, size - last);
    }
    await ask(
      context,
      'cat',
      {
        ...place,
        ...(from === undefined ? {} : { start: from }),
        ...(end === undefined ? {} : { end }),
      },
      { onBytes: (bytes) => context.terminal.bytes(bytes) },
    );
  },
};

/** `end` is exclusive; a negative start counts from the end. @throws UsageError */
function parseRange(text: string): { start: number; end?: number } {
  const match = /^(\d*)-(\d*)$/.exec(text);
  const [, first = '', last = ''] = match ?? [];
  const start = first === '' ? -Number(last) : Number(first);
  const end = first === '' || last === '' ? undefined : Number(last) + 1;
  const isEmpty = first === '' && (last === '' || start === 0);
  const isSafe = Number.isSafeInteger(start) && Number.isSafeInteger(end ?? 0);
  if (match === null || isEmpty || !isSafe || (end !== undefined && end <= start)) {
    throw new UsageError(`--range '${text}' is not a range of bytes`, 'write 0-99, 100- or -100');
  }
  return end === undefined ? { start } : { start, end };
}

export const commands: readonly Command[] = [cat];
