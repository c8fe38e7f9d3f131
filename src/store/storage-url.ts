import { isAbsolute, resolve } from 'node:path';
import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';

/** Where a repository or a foreign object lies. */
export type StorageUrl = LocalUrl | BucketUrl;

export interface LocalUrl {
  readonly kind: 'local';
  /** Absolute. */
  readonly directory: string;
}

/** `s3://bucket/prefix?region=…`, `gs://…`, `az://container/prefix?account=…`. */
export interface BucketUrl {
  readonly kind: BucketKind;
  /** The container, in Azure. */
  readonly bucket: string;
  /** Decoded: the beginning of keys as the bucket has them, with each `/` that was written. */
  readonly prefix: string;
  readonly options: BucketOptions;
}

export type BucketKind = 's3' | 'gs' | 'az';

/** How the bucket is reached. Never a secret: credentials are found by the standard chain of each cloud. */
export interface BucketOptions {
  /** Base URL of the service where it is not the cloud's own. */
  readonly endpoint?: string;
  readonly region?: string;
  /** In the AWS configuration files. */
  readonly profile?: string;
  /** Storage account, in Azure. */
  readonly account?: string;
  /** `http://host/bucket/key` instead of `http://bucket.host/key`; the default with an endpoint. */
  readonly pathStyle?: boolean;
  /** PEM file of certificates to trust beside Node's own. */
  readonly caFile?: string;
  /** `http://host:port`; otherwise HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment count. */
  readonly proxy?: string;
  /** Pays for requests to a bucket of somebody else: in S3. */
  readonly requesterPays?: boolean;
  /** The project that pays for them in Google Cloud. */
  readonly billingProject?: string;
  readonly sse?: ServerSideEncryption;
  readonly sseKmsKeyId?: string;
  /** File with the 32 bytes of the key for SSE-C. */
  readonly sseCKeyFile?: string;
}

export type ServerSideEncryption = (typeof ENCRYPTIONS)[number];

const ENCRYPTIONS = ['AES256', 'aws:kms', 'aws:kms:dsse'] as const;
const PREFIX_BYTES_MAX = 1_024;
const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;
const BUCKET = /^[A-Za-z0-9$_][A-Za-z0-9._-]{0,221}$/;
/** What would end the prefix or hide in a line of text. `encodeURIComponent` leaves none of them. */
// eslint-disable-next-line no-control-regex
const ESCAPED_IN_PREFIX = /[\x00-\x20%?#\x7f]/g;

type OptionName = keyof BucketOptions;
interface OptionRule {
  readonly query: string;
  readonly kinds: readonly BucketKind[];
  /** The value's canonical text; undefined when it is not one. */
  readonly read: (text: string) => string | boolean | undefined;
  readonly means: string;
}

const ALL: readonly BucketKind[] = ['s3', 'gs', 'az'];
const RULES: Readonly<Record<OptionName, OptionRule>> = {
  endpoint: { query: 'endpoint', kinds: ALL, read: httpUrl, means: 'an http or https URL' },
  region: { query: 'region', kinds: ['s3'], read: word, means: 'a name such as eu-central-1' },
  profile: { query: 'profile', kinds: ['s3'], read: given, means: 'the name of an AWS profile' },
  account: { query: 'account', kinds: ['az'], read: word, means: 'the name of a storage account' },
  pathStyle: { query: 'path-style', kinds: ['s3'], read: yesOrNo, means: 'true or false' },
  caFile: { query: 'ca-file', kinds: ALL, read: path, means: 'an absolute path' },
  proxy: { query: 'proxy', kinds: ALL, read: httpUrl, means: 'an http or https URL' },
  requesterPays: { query: 'requester-pays', kinds: ['s3'], read: yesOrNo, means: 'true or false' },
  billingProject: { query: 'billing-project', kinds: ['gs'], read: word, means: 'a project id' },
  sse: { query: 'sse', kinds: ['s3'], read: encryption, means: `one of ${ENCRYPTIONS.join(', ')}` },
  sseKmsKeyId: { query: 'sse-kms-key-id', kinds: ['s3'], read: given, means: 'the id of a key' },
  sseCKeyFile: { query: 'sse-c-key-file', kinds: ['s3'], read: path, means: 'an absolute path' },
};
const NAMES = Object.keys(RULES) as readonly OptionName[];

/**
 * A path of this machine, `file:///path`, or the URL of a bucket and prefix. In a prefix `%`, `?` and
 * `#` are written percent-encoded, anything else may be.
 * @throws TarnError invalid, naming what was wrong
 */
export function parseStorageUrl(text: string): StorageUrl {
  const scheme = SCHEME.exec(text)?.[1];
  if (scheme === undefined) return localUrl(text, text);
  const rest = text.slice(scheme.length + '://'.length);
  switch (scheme.toLowerCase()) {
    case 's3':
    case 'gs':
    case 'az':
      return bucketUrl(scheme.toLowerCase() as BucketKind, rest, text);
    case 'file':
      if (!isAbsolute(rest)) throw wrong(text, "after 'file://' comes an absolute path");
      return localUrl(rest, text);
    default:
      throw wrong(text, `'${scheme}://' is not a kind of storage`);
  }
}

/** Canonical: equal places give equal texts, with the options as sorted query parameters. */
export function formatStorageUrl(url: StorageUrl): string {
  if (url.kind === 'local') return url.directory;
  const { kind, bucket, prefix, options } = url;
  const query = new URLSearchParams();
  for (const name of NAMES) {
    const value = options[name];
    if (value !== undefined) query.set(RULES[name].query, String(value));
  }
  query.sort();
  const path = prefix === '' ? '' : `/${prefix.replace(ESCAPED_IN_PREFIX, encodeURIComponent)}`;
  return `${kind}://${bucket}${path}${query.size === 0 ? '' : `?${query.toString()}`}`;
}

/** The same without its options, for messages. */
export function shortStorageUrl(url: StorageUrl): string {
  return formatStorageUrl(url.kind === 'local' ? url : { ...url, options: {} });
}

function localUrl(directory: string, text: string): LocalUrl {
  if (directory === '' || directory.includes('\0')) throw wrong(text, 'it names no directory');
  return { kind: 'local', directory: resolve(directory) };
}

function bucketUrl(kind: BucketKind, rest: string, text: string): BucketUrl {
  const [, place = '', query] = /^([^?]*)(?:\?(.*))?$/s.exec(rest) ?? [];
  if (place.includes('#')) throw wrong(text, "a '#' in it is written %23");
  const [bucket = '', ...components] = place.split('/');
  if (bucket.includes('@')) throw wrong(text, 'credentials do not belong into it', CHAIN_HINT);
  if (!BUCKET.test(bucket)) throw wrong(text, `'${printable(bucket)}' is not a bucket's name`);
  const prefix = decoded(components.join('/'), text);
  if (Buffer.byteLength(prefix) > PREFIX_BYTES_MAX) {
    throw wrong(text, `its prefix is longer than ${PREFIX_BYTES_MAX} bytes`);
  }
  return { kind, bucket, prefix, options: optionsOf(kind, query ?? '', text) };
}

const CHAIN_HINT =
  "set them as the cloud's own tools want them: in the environment, in a profile, or by the machine's role";

function optionsOf(kind: BucketKind, query: string, text: string): BucketOptions {
  const options: Partial<Record<OptionName, string | boolean>> = {};
  for (const [key, value] of new URLSearchParams(query)) {
    const name = NAMES.find((known) => RULES[known].query === key);
    if (name === undefined || !RULES[name].kinds.includes(kind)) {
      const known = NAMES.filter((other) => RULES[other].kinds.includes(kind));
      throw wrong(
        text,
        `'${printable(key)}' is not an option of ${kind}://`,
        `the options are ${known.map((other) => RULES[other].query).join(', ')}`,
      );
    }
    const read = RULES[name].read(value);
    if (options[name] !== undefined) throw wrong(text, `'${key}' is there twice`);
    if (read === undefined) throw wrong(text, `'${key}' is not ${RULES[name].means}`);
    options[name] = read;
  }
  return options as BucketOptions;
}

function decoded(text: string, url: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(url, "a '%' in it is written %25");
  }
}

function httpUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return undefined;
  if (url.username !== '' || url.password !== '' || url.search !== '') return undefined;
  return url.href.replace(/\/$/, '');
}

function word(text: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(text) ? text : undefined;
}

function given(text: string): string | undefined {
  return text === '' || text.length > 2_048 ? undefined : text;
}

function path(text: string): string | undefined {
  return isAbsolute(text) && !text.includes('\0') ? text : undefined;
}

function yesOrNo(text: string): boolean | undefined {
  return text === 'true' ? true : text === 'false' ? false : undefined;
}

function encryption(text: string): string | undefined {
  return ENCRYPTIONS.find((known) => known === text);
}

function wrong(text: string, why: string, hint?: string): TarnError {
  const place = printable(text.replace(/\/\/[^/@]*@/, '//…@'));
  return new TarnError('invalid', `'${place}' is not a place to store: ${why}`, {
    hint:
      hint ??
      'a place is a directory, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix',
  });
}
