import type { FileEntry, Pin } from './entry.js';
import type { ContentId } from './ids.js';
import { sha256 } from './ids.js';

/**
 * Imported files lie where they were found. Their URL is `file://` and the absolute path as it is:
 * nothing in it is percent-encoded.
 */
const FILE_SCHEME = 'file://';

/** Longest URL in bytes of UTF-8: every path that Linux takes has room in one. */
export const URL_BYTES_MAX = 4_352;

export function fileUrl(path: string): string {
  return `${FILE_SCHEME}${path}`;
}

/** The path on this machine; undefined for any other kind of URL. */
export function pathOfUrl(url: string): string | undefined {
  return url.startsWith(`${FILE_SCHEME}/`) ? url.slice(FILE_SCHEME.length) : undefined;
}

/**
 * Names bytes that nobody has read by where they were found and how they looked: equal ids are equal
 * bytes as far as the pin tells. Never the id of bytes that were read, which have other prefixes.
 */
export function pinnedContentId(url: string, size: number, pin: Pin): ContentId {
  return `${PINNED}${sha256(`${pinText(pin)}\n${size}\n${url}`)}` as ContentId;
}

function pinText(pin: Pin): string {
  switch (pin.kind) {
    case 'mtime':
      return `mtime ${pin.mtimeSec} ${pin.mtimeNsec}`;
    case 'object': {
      const { etag, version = '' } = pin;
      const lengths = `${Buffer.byteLength(etag)} ${Buffer.byteLength(version)}`;
      return `object ${lengths} ${etag}${version}`;
    }
  }
}

const PINNED = 'pinned:';

export function isPinned(content: ContentId): boolean {
  return content.startsWith(PINNED);
}

/** The URL that the bytes of an entry were imported from. */
export function importedUrl({ address }: FileEntry): string | undefined {
  return address.kind === 'imported' ? address.url : undefined;
}
