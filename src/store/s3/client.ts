import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { S3Client } from '@aws-sdk/client-s3';
import type { DefaultProviderInit } from '@aws-sdk/credential-provider-node';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { BucketOptions } from '../storage-url.js';
import { agentsFor } from '../bucket/agents.js';
import { S3Handler } from './handler.js';
import { renewCredentials } from './renewal.js';

// The SDK's versions are held by the lock file: what its later ones need is no news to users.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

/** Region that servers which have none are asked in. */
const REGION_OF_NONE = 'us-east-1';
const SSE_C_KEY_BYTES = 32;

/**
 * A client that tries each request once, and once more where credentials were renewed outside since.
 * They are found by the SDK's standard chain.
 * @throws TarnError invalid (an option's file), not-found, denied
 */
export function s3Client(options: BucketOptions, attemptMs: number): S3Client {
  const { endpoint, region, profile, pathStyle } = options;
  const client = new S3Client({
    // Checksums of what is sent go in a header, since bodies are whole; what is read is checked by
    // its content id.
    requestChecksumCalculation: 'WHEN_SUPPORTED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 1,
    requestHandler: new S3Handler(agentsFor({ ...options, ...bundleOf(options) }), attemptMs),
    // What is asked again is read again: files of credentials are renewed while the daemon runs.
    credentialDefaultProvider: (init: DefaultProviderInit) =>
      defaultProvider({ ...init, ignoreCache: true }),
    ...(profile === undefined ? {} : { profile }),
    ...(region !== undefined
      ? { region }
      : endpoint === undefined
        ? {}
        : { region: REGION_OF_NONE }),
    ...(endpoint === undefined ? { followRegionRedirects: true } : { endpoint }),
    forcePathStyle: pathStyle ?? endpoint !== undefined,
  });
  renewCredentials(client);
  return client;
}

/** The file of certificates that Amazon's own tools trust; without TLS it need not be read. */
function bundleOf({ caFile, endpoint }: BucketOptions): Pick<BucketOptions, 'caFile'> {
  const { AWS_CA_BUNDLE: bundle = '' } = process.env;
  const isPlain = endpoint?.startsWith('http:') === true;
  return caFile !== undefined || bundle === '' || isPlain ? {} : { caFile: bundle };
}

/** What each request carries beside its own parameters. */
export interface S3Settings {
  readonly payer: S3Payer;
  readonly read: S3ReadSettings;
  readonly write: S3WriteSettings;
}

/** Of requests that concern no object's bytes. */
export interface S3Payer {
  readonly RequestPayer?: 'requester';
}

export interface S3ReadSettings extends S3Payer {
  readonly SSECustomerAlgorithm?: 'AES256';
  readonly SSECustomerKey?: string;
  readonly SSECustomerKeyMD5?: string;
}

export interface S3WriteSettings extends S3ReadSettings {
  readonly ServerSideEncryption?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  readonly SSEKMSKeyId?: string;
}

/** @throws TarnError invalid, not-found, denied: the file of the SSE-C key */
export function s3Settings(options: BucketOptions): S3Settings {
  const { requesterPays, sse, sseKmsKeyId, sseCKeyFile } = options;
  const payer: S3Payer = requesterPays === true ? { RequestPayer: 'requester' } : {};
  const read: S3ReadSettings = {
    ...payer,
    ...(sseCKeyFile === undefined ? {} : customerKey(sseCKeyFile)),
  };
  const write: S3WriteSettings = {
    ...read,
    ...(sse === undefined ? {} : { ServerSideEncryption: sse }),
    ...(sseKmsKeyId === undefined ? {} : { SSEKMSKeyId: sseKmsKeyId }),
  };
  return { payer, read, write };
}

function customerKey(file: string): S3ReadSettings {
  let key: Buffer;
  try {
    key = readFileSync(file);
  } catch (error) {
    throw asTarnError(error, 'reading the key for SSE-C');
  }
  if (key.length !== SSE_C_KEY_BYTES) {
    throw new TarnError(
      'invalid',
      `'${file}' has ${key.length} bytes, and a key for SSE-C ${SSE_C_KEY_BYTES}`,
      { hint: `make one with 'head -c ${SSE_C_KEY_BYTES} /dev/urandom > FILE', and keep it safe` },
    );
  }
  return {
    SSECustomerAlgorithm: 'AES256',
    SSECustomerKey: key.toString('base64'),
    SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
  };
}
