import { isUtf8 } from 'node:buffer';
import type { FileEntry } from '../../model/entry.js';
import { METADATA_BYTES_MAX } from '../../model/entry.js';
import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import { metadataName } from '../../vfs/xattrs.js';

/**
 * What an entry keeps of a file's `user.` attributes. Values that are not text, and what goes beyond
 * METADATA_BYTES_MAX, are left out and named.
 */
export function metadataOf(xattrs: readonly (readonly [Key, string])[]): {
  readonly kept: Pick<FileEntry, 'metadata' | 'contentType'>;
  readonly left: readonly string[];
} {
  const metadata: Record<string, string> = {};
  const left: string[] = [];
  let contentType: string | undefined;
  let bytes = 0;
  for (const [key, base64] of xattrs) {
    const value = Buffer.from(base64, 'base64');
    const name = metadataName(key);
    bytes += key.length + value.length;
    const isText = isUtf8(value) && isUtf8(Buffer.from(key, 'latin1'));
    if (!isText || bytes > METADATA_BYTES_MAX) left.push(keyToText(key));
    else if (name === undefined) contentType = value.toString();
    else metadata[name] = value.toString();
  }
  return {
    kept: {
      ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
      ...(contentType === undefined ? {} : { contentType }),
    },
    left,
  };
}
