import { TarnError } from '../../util/errors.js';

/** The texts of the elements directly below one, by their names; of those nested deeper too. */
export type Fields = Readonly<Record<string, string>>;

export interface ListingXml {
  readonly fields: Fields;
  /** `Contents`, or `Version`. */
  readonly items: readonly Fields[];
  readonly prefixes: readonly string[];
}

const FIELD = /<(\w+)>([^<]*)<\/\1>/g;
const REFERENCE = /&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi;
const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/**
 * Reads the answer to a listing, which is flat and very regular: a reader of XML in general takes most of
 * the time of listing millions of objects.
 * @param item the name of its elements for objects
 * @throws TarnError unsupported: what XML may have beside that
 */
export function readListingXml(text: string, item: 'Contents' | 'Version'): ListingXml {
  if (text.includes('<!')) {
    throw new TarnError('unsupported', 'the listing of the store has XML that is not known', {
      hint: 'tarn needs a store that lists its objects as S3 does',
    });
  }
  const items = takeElements(text, item);
  const groups = takeElements(items.rest, 'CommonPrefixes');
  const prefixes = groups.elements.map(({ Prefix = '' }) => Prefix);
  return { fields: fieldsOf(groups.rest), items: items.elements, prefixes };
}

function takeElements(text: string, name: string): { elements: Fields[]; rest: string } {
  const [open, close] = [`<${name}>`, `</${name}>`];
  const elements: Fields[] = [];
  let rest = '';
  let at = 0;
  for (;;) {
    const start = text.indexOf(open, at);
    const end = start < 0 ? -1 : text.indexOf(close, start);
    if (end < 0) return { elements, rest: rest + text.slice(at) };
    rest += text.slice(at, start);
    elements.push(fieldsOf(text.slice(start + open.length, end)));
    at = end + close.length;
  }
}

function fieldsOf(text: string): Fields {
  const fields: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(FIELD)) fields[name] ??= unescaped(value);
  return fields;
}

function unescaped(text: string): string {
  const plain = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
  if (!plain.includes('&')) return plain;
  return plain.replace(REFERENCE, (all, hex?: string, decimal?: string, name = '') => {
    if (name !== '') return NAMED[name as string] ?? all;
    const code = hex === undefined ? Number(decimal) : parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
}
