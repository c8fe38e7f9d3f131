import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import { TarnError } from '../util/errors.js';
import type { PathMatcher } from '../util/glob.js';
import { parseGlob } from '../util/glob.js';
import { printable } from '../util/printable.js';

/** Which side wins where both changed a path: what is brought in, or the branch that it comes to. */
export type Side = 'src' | 'dst';

/** For the paths that match, or for all. */
export interface Preference {
  readonly side: Side;
  readonly matches: PathMatcher;
}

/**
 * A preference as it is written: `src`, `dst`, or with a pattern (util/glob.ts) `src:labels/**`.
 * @throws TarnError invalid
 */
export function parsePreference(text: string): Preference {
  const colon = text.indexOf(':');
  const side = colon < 0 ? text : text.slice(0, colon);
  if (side !== 'src' && side !== 'dst') {
    throw new TarnError('invalid', `'${printable(text)}' does not say which side is preferred`, {
      hint: 'write src or dst, for some paths with a pattern behind it, as in src:labels/**',
    });
  }
  return { side, matches: colon < 0 ? () => true : parseGlob(text.slice(colon + 1)) };
}

/** For mergeTrees; of several preferences that match a path the last one counts. */
export function preferring(
  preferences: readonly Preference[],
): (key: Key) => 'ours' | 'theirs' | undefined {
  return (key) => {
    const path = keyToText(key);
    const found = preferences.findLast(({ matches }) => matches(path));
    if (found === undefined) return undefined;
    return found.side === 'src' ? 'theirs' : 'ours';
  };
}
