import { ContainerClient, newPipeline, StorageSharedKeyCredential } from '@azure/storage-blob';
import type { StoragePipelineOptions } from '@azure/storage-blob';
import { TarnError } from '../../util/errors.js';
import type { BucketOptions, BucketUrl } from '../storage-url.js';
import { shortStorageUrl } from '../storage-url.js';

/**
 * A client that tries each request once. Credentials: AZURE_STORAGE_CONNECTION_STRING,
 * AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN of the environment, as Azure's own command line has
 * them; otherwise the chain of its identity SDK.
 * @throws TarnError invalid: no account is named
 */
export async function azureContainer(place: BucketUrl): Promise<ContainerClient> {
  const { bucket, options } = place;
  const settings = pipelineOptions(options);
  const connection = process.env['AZURE_STORAGE_CONNECTION_STRING'];
  if (connection !== undefined && options.account === undefined && options.endpoint === undefined) {
    return new ContainerClient(connection, bucket, settings);
  }
  const account = options.account ?? process.env['AZURE_STORAGE_ACCOUNT'];
  if (account === undefined) {
    throw new TarnError('invalid', `no storage account is named for '${shortStorageUrl(place)}'`, {
      hint: 'give the option account, or set AZURE_STORAGE_ACCOUNT',
    });
  }
  const service = options.endpoint ?? `https://${account}.blob.core.windows.net`;
  const url = `${service}/${bucket}`;
  const token = process.env['AZURE_STORAGE_SAS_TOKEN'];
  if (token !== undefined)
    return new ContainerClient(
      `${url}?${token.replace(/^\?/, '')}`,
      newPipeline(undefined, settings),
    );
  const key = process.env['AZURE_STORAGE_KEY'];
  if (key !== undefined) {
    return new ContainerClient(url, new StorageSharedKeyCredential(account, key), settings);
  }
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new ContainerClient(url, new DefaultAzureCredential(), settings);
}

function pipelineOptions({ proxy }: BucketOptions): StoragePipelineOptions {
  const once = { retryOptions: { maxTries: 1 } };
  if (proxy === undefined) return once;
  const { protocol, hostname, port } = new URL(proxy);
  const portOfScheme = protocol === 'https:' ? 443 : 80;
  const proxyOptions = {
    host: `${protocol}//${hostname}`,
    port: port === '' ? portOfScheme : Number(port),
  };
  return { ...once, proxyOptions };
}
