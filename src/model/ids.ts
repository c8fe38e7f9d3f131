import type * as NodeCrypto from 'node:crypto';
import { TarnError } from '../util/errors.js';

/** A SHA-256 as 64 lower-case hex digits. Only the parsers and hash functions here mint one. */
export type Hash = string & { readonly __hash: 'sha256' };
/** SHA-256 of a tree node's canonical bytes; the root node's id names the tree. */
export type NodeId = Hash & { readonly __of: 'node' };
/** SHA-256 of a commit's canonical bytes. */
export type CommitId = Hash & { readonly __of: 'commit' };
/** SHA-256 of the canonical JSON of a repository's settings. */
export type SettingsId = Hash & { readonly __of: 'settings' };
/** SHA-256 of a pack's index (see repo/FORMAT.md), which names every content in the pack. */
export type PackId = Hash & { readonly __of: 'pack' };

/**
 * The name of a file's bytes: `sha256:<hex>` is the SHA-256 of the bytes of a file of at most one
 * block; `merkle:<hex>` is the SHA-256 of the manifest of a longer one. The prefix keeps a small
 * file that holds a manifest's bytes apart from the large file that the manifest describes.
 * `pinned:<hex>` names the bytes of an imported file that nobody has read yet (model/imported.ts).
 */
export type ContentId = string & { readonly __of: 'content' };

/** Bytes in a block: the unit of hashing, of verification and of lazy reading. */
export const BLOCK_BYTES = 1_048_576;

/** Bytes in a binary hash. */
export const HASH_BYTES = 32;

const HEX64 = /^[0-9a-f]{64}$/;

/** Loaded by the first who needs it: that takes longer than most commands, which hash nothing. */
let crypto: typeof NodeCrypto | undefined;

/** @param bytes of a text those of its UTF-8 */
export function sha256(bytes: Uint8Array | string): Hash {
  crypto ??= process.getBuiltinModule('node:crypto');
  return crypto.hash('sha256', bytes, 'hex') as Hash;
}

export function parseHash(text: string, what: string): Hash {
  if (!HEX64.test(text)) {
    throw new TarnError('invalid', `${what} must be 64 lower-case hex digits, got '${text}'`);
  }
  return text as Hash;
}

export const parseCommitId = (text: string): CommitId => parseHash(text, 'a commit id') as CommitId;
export const parsePackId = (text: string): PackId => parseHash(text, 'a pack id') as PackId;

/** Names content of `size` bytes whose block hash or manifest hash is `hash`. */
export function contentIdOf(size: number, hash: Hash): ContentId {
  return (size <= BLOCK_BYTES ? `sha256:${hash}` : `merkle:${hash}`) as ContentId;
}

export function parseContentId(text: string): ContentId {
  if (/^(sha256|merkle):[0-9a-f]{64}$/.test(text)) return text as ContentId;
  throw new TarnError('invalid', `'${text}' is not a content id (sha256:… or merkle:… and 64 hex)`);
}

/** The hash inside a content id, without its kind. */
export function contentHash(id: ContentId): Hash {
  return id.slice(7) as Hash;
}

export const EMPTY_CONTENT = parseContentId(
  'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
);
