/**
 * Every fault in tarn is a TarnError of one of these kinds. Each door translates the kind once:
 * the mount to an errno, the command line to an exit code, an HTTP door to a status.
 * Expected outcomes (a key that may be absent, a race that may be lost) are values, not errors.
 */
export type ErrorKind =
  | 'not-found'
  | 'exists'
  /** The input breaks a documented rule; the message names the rule. */
  | 'invalid'
  | 'ambiguous'
  /** Someone else changed it first and retries ran out. */
  | 'conflict'
  | 'denied'
  | 'read-only'
  /** Stored bytes do not hash to their name or do not decode; the message names the object. */
  | 'corrupt'
  | 'is-directory'
  | 'not-directory'
  | 'not-empty'
  | 'too-large'
  | 'no-space'
  | 'nothing-to-commit'
  | 'busy'
  /** This machine or build cannot do it; the hint says what is missing and how to get it. */
  | 'unsupported'
  | 'unavailable'
  | 'aborted'
  | 'io'
  | 'internal';

export interface ErrorDetails {
  /** What the user can do next, as one sentence or command. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class TarnError extends Error {
  readonly kind: ErrorKind;
  readonly hint: string | undefined;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'TarnError';
    this.kind = kind;
    this.hint = details.hint;
  }
}

const KIND_OF_ERRNO: Readonly<Record<string, ErrorKind>> = {
  ENOENT: 'not-found',
  EEXIST: 'exists',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'read-only',
  EISDIR: 'is-directory',
  ENOTDIR: 'not-directory',
  ENOTEMPTY: 'not-empty',
  ENAMETOOLONG: 'invalid',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EBUSY: 'busy',
};

/** Turns anything thrown into a TarnError; `doing` completes "… while" for system errors. */
export function asTarnError(error: unknown, doing?: string): TarnError {
  if (isTarnError(error)) return error;
  if (!(error instanceof Error)) return new TarnError('internal', String(error), { cause: error });
  if (error.name === 'AbortError') {
    return new TarnError('aborted', 'interrupted before it was done', { cause: error });
  }
  const code = (error as NodeJS.ErrnoException).code;
  const suffix = doing === undefined ? '' : ` while ${doing}`;
  if (typeof code === 'string' && code.startsWith('E') && !code.startsWith('ERR_')) {
    const kind = KIND_OF_ERRNO[code] ?? 'io';
    const details: ErrorDetails =
      kind === 'no-space'
        ? { cause: error, hint: 'free some space on that disk and run the command again' }
        : { cause: error };
    return new TarnError(kind, `${error.message}${suffix}`, details);
  }
  return new TarnError('internal', `${error.message}${suffix}`, { cause: error });
}

/** By its name: a daemon that a command runs itself comes from another bundle, with a class of its own. */
function isTarnError(error: unknown): error is TarnError {
  return error instanceof Error && error.name === 'TarnError';
}

/** A fault of the program or of what is stored, which whoever looks after it wants to read later. */
export function isOurs({ kind }: TarnError): boolean {
  return kind === 'internal' || kind === 'corrupt' || kind === 'io' || kind === 'no-space';
}
