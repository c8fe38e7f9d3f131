import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BucketUrl, StorageUrl } from '../../src/store/storage-url.js';
import { formatStorageUrl, parseStorageUrl, shortStorageUrl } from '../../src/store/storage-url.js';

describe('the URL of a place to store', () => {
  test.each<[string, StorageUrl]>([
    ['/srv/tarn/', { kind: 'local', directory: '/srv/tarn' }],
    ['file:///srv/a b', { kind: 'local', directory: '/srv/a b' }],
    ['s3://fleet-logs', { kind: 's3', bucket: 'fleet-logs', prefix: '', options: {} }],
    ['s3://b//x', { kind: 's3', bucket: 'b', prefix: '/x', options: {} }],
    ['gs://b/a//b/', { kind: 'gs', bucket: 'b', prefix: 'a//b/', options: {} }],
    [
      's3://fleet-logs/tarn?region=eu-central-1&endpoint=http://127.0.0.1:9000/&path-style=false',
      {
        kind: 's3',
        bucket: 'fleet-logs',
        prefix: 'tarn',
        options: { endpoint: 'http://127.0.0.1:9000', region: 'eu-central-1', pathStyle: false },
      },
    ],
    [
      'az://logs/raw?account=fleet',
      { kind: 'az', bucket: 'logs', prefix: 'raw', options: { account: 'fleet' } },
    ],
    ['s3://b/a+b c/%3F/100%25', { kind: 's3', bucket: 'b', prefix: 'a+b c/?/100%', options: {} }],
    ['s3://b/мир', { kind: 's3', bucket: 'b', prefix: 'мир', options: {} }],
  ])('%s is read', (text, url) => {
    expect(parseStorageUrl(text)).toEqual(url);
  });

  test('is written in one way, with sorted options', () => {
    const text = 's3://fleet-logs/tarn?region=eu-central-1&endpoint=http://127.0.0.1:9000';
    const url = parseStorageUrl(text);
    expect(formatStorageUrl(url)).toBe(
      's3://fleet-logs/tarn?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=eu-central-1',
    );
    expect(shortStorageUrl(url)).toBe('s3://fleet-logs/tarn');
    expect(formatStorageUrl(parseStorageUrl('/srv/../srv/tarn'))).toBe('/srv/tarn');
  });

  test('what was written is read as it was', () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 });
    const url = fc.record({
      kind: fc.constant('s3' as const),
      bucket: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,20}$/),
      prefix: text.filter((prefix) => prefix.isWellFormed()),
      options: fc.record(
        {
          profile: text.filter((profile) => profile.isWellFormed()),
          region: fc.constantFrom('eu-central-1', 'us-east-1'),
          requesterPays: fc.boolean(),
          caFile: fc.constant('/etc/a b/ä?&=+%.pem'),
        },
        { requiredKeys: [] },
      ),
    });
    fc.assert(
      fc.property(url, (made: BucketUrl) => {
        expect(parseStorageUrl(formatStorageUrl(made))).toEqual({
          ...made,
          options: { ...made.options },
        });
      }),
    );
  });

  test.each([
    ['ftp://host/x', /'ftp:\/\/' is not a kind of storage/],
    ['', /names no directory/],
    ['file://x', /absolute path/],
    ['s3://', /'' is not a bucket's name/],
    ['s3:///x', /'' is not a bucket's name/],
    ['s3://a b/x', /'a b' is not a bucket's name/],
    ['s3://b/100%', /'%' in it is written %25/],
    ['s3://b/#1', /'#' in it is written %23/],
    [`s3://b/${'ä'.repeat(513)}`, /longer than 1024 bytes/],
    ['s3://b?account=x', /'account' is not an option of s3:/],
    ['s3://b?secret-access-key=x', /'secret-access-key' is not an option/],
    ['s3://b?region=a&region=b', /'region' is there twice/],
    ['s3://b?endpoint=127.0.0.1:9000', /'endpoint' is not an http or https URL/],
    ['s3://b?endpoint=http://me:secret@host', /'endpoint' is not an http or https URL/],
    ['s3://b?ca-file=ca.pem', /'ca-file' is not an absolute path/],
    ['s3://b?path-style=yes', /'path-style' is not true or false/],
    ['s3://b?sse=DES', /'sse' is not one of AES256/],
  ])('%s is refused, with what is wrong', (text, why) => {
    expect(() => parseStorageUrl(text)).toThrow(why);
    expect(() => parseStorageUrl(text)).toThrow(expect.objectContaining({ kind: 'invalid' }));
  });

  test('a password in a URL is neither taken nor repeated', () => {
    const read = (): unknown => parseStorageUrl('s3://key:hunter2@bucket/x');
    expect(read).toThrow(/credentials do not belong into it/);
    expect(read).not.toThrow(/hunter2/);
  });
});
