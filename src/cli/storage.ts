import { resolve } from 'node:path';
import type { BucketOptions } from '../store/storage-url.js';
import { formatStorageUrl, parseStorageUrl } from '../store/storage-url.js';
import type { Input, Option } from './command.js';
import { UsageError } from './command.js';

/** How a bucket is reached: what can be an option instead of a part of the URL. */
export const BUCKET_OPTIONS = {
  endpoint: { value: 'URL', what: 'of the service, where it is not the cloud’s own' },
  region: { value: 'REGION', what: 'of an s3:// bucket' },
  profile: { value: 'PROFILE', what: 'in the AWS configuration files, for an s3:// bucket' },
  account: { value: 'ACCOUNT', what: 'the storage account of an az:// container' },
} as const satisfies Readonly<Record<string, Option>>;

/**
 * The place that was typed with the options that go with it, as the daemon takes it: that stands
 * elsewhere, so a directory is made absolute.
 * @throws UsageError when options are given with a directory; TarnError invalid
 */
export function storageOf(typed: string, input: Input): string {
  const options: Record<string, string> = {};
  for (const name of Object.keys(BUCKET_OPTIONS)) {
    const value = input.value(name);
    if (value !== undefined) options[name] = value;
  }
  const [first] = Object.keys(options);
  const place = isUrl(typed) ? typed : resolve(typed);
  if (first === undefined) return place;
  if (!isUrl(typed) || /^file:/i.test(typed)) {
    throw new UsageError(`--${first} goes with the URL of a bucket, and '${typed}' is none`);
  }
  const url = parseStorageUrl(place);
  if (url.kind === 'local') return place;
  const both: BucketOptions = { ...url.options, ...options };
  // Read once more, so that an option is judged as the part of the URL that it becomes.
  return formatStorageUrl(parseStorageUrl(formatStorageUrl({ ...url, options: both })));
}

export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}

/** A name for the repository at the place: the last part of it that can be one. */
export function nameFor(place: string): string | undefined {
  const path = place.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '').replace(/\?.*$/s, '');
  const last = path.split('/').findLast((part) => part !== '') ?? '';
  const name = last.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const fitting = name.replace(/^-+|-+$/g, '').slice(0, 63);
  return fitting === '' ? undefined : fitting;
}
