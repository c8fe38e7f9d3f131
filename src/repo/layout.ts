import { contentHash } from '../model/ids.js';
import type { CommitId, ContentId, Hash, PackId, SettingsId } from '../model/ids.js';

/** Where each object lies in a storage namespace; repo/FORMAT.md, Layout. */

/** Says that a namespace is a repository, and in which format. */
export const REPOSITORY_KEY = 'tarn.json';

export const treePackKey = (id: Hash): string => sharded('trees', id);
export const commitKey = (id: CommitId): string => sharded('commits', id);
export const settingsKey = (id: SettingsId): string => sharded('settings', id);
export const packKey = (id: PackId): string => sharded('packs', id);
export const manifestKey = (id: ContentId): string => sharded('manifests', contentHash(id));
/** The object that holds all bytes of one content. */
export const wholeKey = (id: ContentId): string => sharded('files', contentHash(id));

/** What a cache has of imported objects, and its hashes of that; of no repository. */
export const pinnedKey = (id: ContentId): string => sharded('imported', contentHash(id));
export const pinnedSumsKey = (id: ContentId): string => sharded('imported-sums', contentHash(id));

/** The prefix of keys of commits whose id starts with `digits`. */
export function commitPrefix(digits: string): string {
  return digits.length <= 2 ? `commits/${digits}` : `commits/${digits.slice(0, 2)}/${digits}`;
}

export const PACKS_PREFIX = 'packs/';
export const TREES_PREFIX = 'trees/';

/** All that there is beside REPOSITORY_KEY. */
export const STORED_PREFIXES = [
  'refs/',
  'past/',
  'commits/',
  TREES_PREFIX,
  'settings/',
  PACKS_PREFIX,
  'manifests/',
  'files/',
] as const;

function sharded(kind: string, hash: Hash): string {
  return `${kind}/${hash.slice(0, 2)}/${hash}`;
}
