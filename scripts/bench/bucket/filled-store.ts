/**
 * filled-store PORT COUNT: lists COUNT objects of a bucket as S3 does, on the loopback address, and does
 * nothing else. A thousand of them lie below each `raw/run-0000/`. It answers from memory, so that who
 * lists has nothing to wait for; a server that keeps a million objects takes hours to list them.
 */
import { createServer } from 'node:http';

const GROUP = 1_000;
const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const groups = Math.ceil(count / GROUP);
const pages = Array.from({ length: groups }, (_, group) => Buffer.from(pageOf(group)));

function prefixOf(group: number): string {
  return `raw/run-${String(group).padStart(4, '0')}/`;
}

function pageOf(group: number): string {
  const start = group * GROUP;
  const contents = Array.from({ length: Math.min(GROUP, count - start) }, (_, i) => {
    const key = `${prefixOf(group)}front/${String(i).padStart(6, '0')}.jpg`;
    const etag = (start + i).toString(16).padStart(32, '0');
    return `<Contents><Key>${key}</Key><LastModified>2025-06-14T17:30:00.000Z</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>4</Size><StorageClass>STANDARD</StorageClass></Contents>`;
  });
  return listing(contents.join(''));
}

function listing(what: string, next?: number): string {
  const more =
    next === undefined
      ? '<IsTruncated>false</IsTruncated>'
      : `<IsTruncated>true</IsTruncated><NextContinuationToken>${next}</NextContinuationToken>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><MaxKeys>${GROUP}</MaxKeys>${more}${what}</ListBucketResult>`;
}

/** A page of the groups. */
function groupsFrom(start: number): string {
  const end = Math.min(groups, start + GROUP);
  const found = Array.from(
    { length: end - start },
    (_, i) => `<CommonPrefixes><Prefix>${prefixOf(start + i)}</Prefix></CommonPrefixes>`,
  );
  return listing(found.join(''), end < groups ? end : undefined);
}

function answer(url: URL): string | Buffer {
  if (url.searchParams.has('versioning')) return '<VersioningConfiguration/>';
  const [, group] = /^raw\/run-(\d+)\//.exec(url.searchParams.get('prefix') ?? '') ?? [];
  if (group !== undefined) return pages[Number(group)] ?? listing('');
  return groupsFrom(Number(url.searchParams.get('continuation-token') ?? 0));
}

createServer((request, response) => {
  response.setHeader('content-type', 'application/xml');
  response.end(answer(new URL(request.url ?? '/', 'http://store')));
}).listen(port, '127.0.0.1');
