import type { BlobItem, ContainerClient } from '@azure/storage-blob';
import type { BucketObject, BucketPage, BucketQuery } from '../bucket/bucket.js';
import { withoutQuotes } from '../bucket/read-body.js';

interface Properties {
  readonly contentLength?: number | undefined;
  readonly etag?: string | undefined;
  readonly lastModified?: Date | undefined;
  readonly accessTier?: string | undefined;
}

interface Page {
  readonly segment: {
    readonly blobItems: readonly BlobItem[];
    readonly blobPrefixes?: readonly { readonly name: string }[];
  };
  readonly continuationToken?: string;
}

/** Azure begins at the prefix: what lies before `after` is told too. */
export async function listBlobs(
  container: ContainerClient,
  query: BucketQuery,
): Promise<BucketPage> {
  const { prefix, next, grouped, versions, limit, signal } = query;
  const options = {
    prefix,
    ...(versions === true ? { includeVersions: true } : {}),
    ...(signal === undefined ? {} : { abortSignal: signal }),
  };
  const paging = {
    ...(next === undefined ? {} : { continuationToken: next }),
    ...(limit === undefined ? {} : { maxPageSize: limit }),
  };
  const pages =
    grouped === true
      ? container.listBlobsByHierarchy('/', options).byPage(paging)
      : container.listBlobsFlat(options).byPage(paging);
  const page = (await pages.next()) as IteratorResult<Page, void>;
  if (page.done === true) return { objects: [], prefixes: [], next: undefined };
  const { segment, continuationToken } = page.value;
  const items = segment.blobItems.filter((item) => item.isCurrentVersion !== false);
  return {
    objects: items.map((item) => objectOf(item.name, item.properties, item.versionId)),
    prefixes: (segment.blobPrefixes ?? []).map(({ name }) => name),
    next: continuationToken === '' ? undefined : continuationToken,
  };
}

export function objectOf(
  key: string,
  properties: Properties,
  version: string | undefined,
): BucketObject {
  const { contentLength = 0, etag = '', lastModified, accessTier } = properties;
  return {
    key,
    size: contentLength,
    etag: withoutQuotes(etag),
    mtimeMs: lastModified?.getTime() ?? 0,
    ...(version === undefined ? {} : { version }),
    ...(accessTier === undefined ? {} : { storageClass: accessTier }),
  };
}
