/** The head of an answer whose body is so many bytes, and nothing else. */
export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body. */
  readonly length: number;
  /** Whether the connection may carry another request after it. */
  readonly isKeptAlive: boolean;
}

const STATUS = /^HTTP\/1\.1 (20[06]) ?([\t\x20-\x7e\x80-\xff]*)$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;
/** Of which a second one would say something else. */
const ONCE = new Set(['content-length', 'content-range', 'etag']);
/** 999 TB. */
const LENGTH = /^\d{1,15}$/;

/**
 * Reads the head of an answer that is as plain as can be: HTTP/1.1, 200 or 206, with the length of
 * the body. Undefined for any other, also a faulty one: a general parser has the word on it.
 * @param text latin1, without the empty line at its end
 */
export function readAnswerHead(text: string): AnswerHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const [, status, reason = ''] = STATUS.exec(first) ?? [];
  if (status === undefined) return undefined;
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const [, name, value = ''] = FIELD.exec(line) ?? [];
    if (name === undefined) return undefined;
    const lower = name.toLowerCase();
    const before = headers[lower];
    if (before !== undefined && ONCE.has(lower)) return undefined;
    headers[lower] = before === undefined ? value.trimEnd() : `${before}, ${value.trimEnd()}`;
  }
  const { 'content-length': length = '', connection = 'keep-alive' } = headers;
  if (!LENGTH.test(length) || 'transfer-encoding' in headers) return undefined;
  const isKeptAlive = connection.toLowerCase() === 'keep-alive';
  return { status: Number(status), reason, headers, length: Number(length), isKeptAlive };
}
