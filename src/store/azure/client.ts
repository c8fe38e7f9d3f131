import type { Agent } from 'node:http';
import { ContainerClient, newPipeline, StorageSharedKeyCredential } from '@azure/storage-blob';
import type { StoragePipelineOptions } from '@azure/storage-blob';
import { TarnError } from '../../util/errors.js';
import type { Agents } from '../bucket/agents.js';
import { agentsFor } from '../bucket/agents.js';
import type { BucketUrl } from '../storage-url.js';
import { shortStorageUrl } from '../storage-url.js';

export interface AzureContainer {
  readonly container: ContainerClient;
  readonly agents: Agents;
}

/**
 * A client that tries each request once. Credentials: AZURE_STORAGE_CONNECTION_STRING,
 * AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN of the environment, as Azure's own command line has
 * them; otherwise the chain of its identity SDK.
 * @throws TarnError invalid: no account is named; not-found, denied: the file of certificates
 */
export async function azureContainer(place: BucketUrl): Promise<AzureContainer> {
  const { bucket, options } = place;
  const agents = agentsFor(options);
  const connection = process.env['AZURE_STORAGE_CONNECTION_STRING'];
  if (connection !== undefined && options.account === undefined && options.endpoint === undefined) {
    return { container: new ContainerClient(connection, bucket, settings(agents)), agents };
  }
  const account = options.account ?? process.env['AZURE_STORAGE_ACCOUNT'];
  if (account === undefined) {
    throw new TarnError('invalid', `no storage account is named for '${shortStorageUrl(place)}'`, {
      hint: 'give the option account, or set AZURE_STORAGE_ACCOUNT',
    });
  }
  const service = options.endpoint ?? `https://${account}.blob.core.windows.net`;
  return { container: await containerClient(`${service}/${bucket}`, account, agents), agents };
}

async function containerClient(
  url: string,
  account: string,
  agents: Agents,
): Promise<ContainerClient> {
  const once = settings(agents);
  const token = process.env['AZURE_STORAGE_SAS_TOKEN'];
  if (token !== undefined)
    return new ContainerClient(`${url}?${token.replace(/^\?/, '')}`, newPipeline(undefined, once));
  const key = process.env['AZURE_STORAGE_KEY'];
  if (key !== undefined) {
    return new ContainerClient(url, new StorageSharedKeyCredential(account, key), once);
  }
  const { DefaultAzureCredential } = await import('@azure/identity');
  const credential = new DefaultAzureCredential({ agent: agents.anyAgent });
  return new ContainerClient(url, credential, once);
}

/** The SDK hands the agent on to its pipeline, whose option it is. */
function settings({ anyAgent }: Agents): StoragePipelineOptions & { readonly agent: Agent } {
  return { retryOptions: { maxTries: 1 }, agent: anyAgent };
}
