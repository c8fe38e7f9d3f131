import type { Option } from './command.js';
import { UsageError } from './command.js';

export const META_OPTION: Option = {
  value: 'KEY=VALUE',
  many: true,
  what: 'metadata kept with the commit, such as vehicle=av-07; may be repeated, 256 keys at most',
};

/** @throws UsageError */
export function parseMetadata(given: readonly string[]): Record<string, string> {
  const metadata = new Map<string, string>();
  for (const text of given) {
    const at = text.indexOf('=');
    if (at <= 0) {
      const what = at === 0 ? 'has no key' : "has no '='";
      throw new UsageError(`--meta '${text}' ${what}`, 'write --meta KEY=VALUE, as vehicle=av-07');
    }
    const key = text.slice(0, at);
    if (metadata.has(key)) {
      throw new UsageError(`--meta gives '${key}' twice`, 'give each key once');
    }
    metadata.set(key, text.slice(at + 1));
  }
  return Object.fromEntries(metadata);
}
