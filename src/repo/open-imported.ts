import type { FileEntry } from '../model/entry.js';
import type { ForeignBuckets } from '../store/foreign-buckets.js';
import { parseForeignUrl } from '../store/foreign-buckets.js';
import { TarnError } from '../util/errors.js';
import type { ImportedBytes } from './imported-bytes.js';
import { ImportedFile } from './imported-file.js';
import { ImportedObject } from './imported-object.js';

/**
 * Undefined for what lies in the repository. Nothing is opened yet.
 * @throws TarnError unsupported when this tarn cannot read from there
 */
export function importedBytes(
  { size, address }: FileEntry,
  foreign: ForeignBuckets,
): ImportedBytes | undefined {
  if (address.kind !== 'imported') return undefined;
  const { url, pin } = address;
  const place = parseForeignUrl(url);
  if (place !== undefined && pin.kind === 'object') {
    return new ImportedObject({ url, place, size, pin }, foreign);
  }
  if (pin.kind === 'mtime') return new ImportedFile(size, url, pin);
  throw new TarnError('unsupported', `a file was imported from '${url}'`, {
    hint: 'this tarn reads imported files from local paths and buckets only: install a newer one',
  });
}
