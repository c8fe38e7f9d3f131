import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { Terminal } from '../../src/cli/terminal.js';

/** A terminal whose two streams are watched by a person, or by a program. */
function terminal(isTTY: boolean) {
  const streams = [new PassThrough(), new PassThrough()].map((stream) =>
    Object.assign(stream.setEncoding('utf8'), { isTTY }),
  );
  const [out, err] = streams as unknown as [typeof process.stdout, typeof process.stderr];
  return { terminal: new Terminal(false, out, err), said: () => err.read() as string };
}

const NAME = 'raw/\x1b[2Jrun';

it('lets no name steer the terminal, whatever it stands in', () => {
  const { terminal: shown, said } = terminal(true);
  shown.note(`skipped ${NAME}\nand more`);
  shown.error({ kind: 'not-found', message: `no '${NAME}'`, hint: `not '${NAME}'` });
  expect(said()).toBe(
    "skipped raw/\\x1b[2Jrun\nand more\ntarn: no 'raw/\\x1b[2Jrun'\nhint: not 'raw/\\x1b[2Jrun'\n",
  );
  shown.status(`at ${NAME}\nand`);
  expect(said()).toBe('\r\x1b[Kat raw/\\x1b[2Jrun\\x0aand');
  expect(shown.name(NAME)).toBe('raw/\\x1b[2Jrun');
});

it('gives names as they are to a program', () => {
  const { terminal: piped, said } = terminal(false);
  piped.note(`skipped ${NAME}`);
  expect(said()).toBe(`skipped ${NAME}\n`);
  expect(piped.name(NAME)).toBe(NAME);
});
