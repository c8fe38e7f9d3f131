import type { WireError } from '../daemon/protocol.js';
import { asTarnError } from '../util/errors.js';
import { EXIT, UsageError } from './command.js';

export function toReport(error: unknown): WireError {
  if (error instanceof UsageError) {
    const { message, hint } = error;
    return { kind: 'invalid', message, ...(hint === undefined ? {} : { hint }) };
  }
  const { kind, message, hint } = asTarnError(error);
  return { kind, message, ...(hint === undefined ? {} : { hint }) };
}

/** An argument that breaks a rule is wrong usage, wherever that was found out. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  const { kind } = asTarnError(error);
  if (kind === 'invalid') return EXIT.usage;
  if (kind === 'conflict') return EXIT.conflict;
  return EXIT.failed;
}
