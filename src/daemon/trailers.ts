import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';

const TRAILER = /^([A-Za-z0-9][\w.-]*):[ \t]+(\S.*)$/;

export interface MessageWithTrailers {
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Takes the metadata out of a message: its last paragraph, where that is not the only one and each of
 * its lines is `key: value`.
 * @throws TarnError invalid where a key is given twice
 */
export function withoutTrailers(text: string): MessageWithTrailers {
  const whole = text.replaceAll('\r\n', '\n').trim();
  const cut = whole.search(/\n[ \t]*\n(?![^]*\n[ \t]*\n)/);
  const lines = cut < 0 ? [] : whole.slice(cut).trim().split('\n');
  const found = lines.map((line) => TRAILER.exec(line));
  const metadata = new Map<string, string>();
  for (const match of found) {
    if (match === null) return { message: whole, metadata: {} };
    const [, key = '', value = ''] = match;
    if (metadata.has(key)) {
      throw new TarnError('invalid', `the message gives '${printable(key)}' twice`, {
        hint: 'give each key once',
      });
    }
    metadata.set(key, value.trimEnd());
  }
  const message = metadata.size === 0 ? whole : whole.slice(0, cut).trimEnd();
  return { message, metadata: Object.fromEntries(metadata) };
}
