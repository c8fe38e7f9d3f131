import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { rootCertificates } from 'node:tls';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';
import { asTarnError } from '../../util/errors.js';
import type { BucketOptions } from '../storage-url.js';

/** As many as there are requests in flight at most: each connection carries one at a time. */
export const SOCKETS_MAX = 64;

export interface Agents {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
}

/**
 * Keeps connections open, through the proxy that the options or the environment name.
 * @param endpoint a URL of the service, for which the environment is asked
 * @throws TarnError not-found, denied, io: the file of certificates
 */
export function agentsFor(options: BucketOptions, endpoint: string): Agents {
  const { caFile } = options;
  const shared = { keepAlive: true, maxSockets: SOCKETS_MAX };
  const secure = caFile === undefined ? shared : { ...shared, ca: certificates(caFile) };
  const proxy = options.proxy ?? getProxyForUrl(endpoint);
  if (proxy === '') return { httpAgent: new HttpAgent(shared), httpsAgent: new HttpsAgent(secure) };
  const tunnel = new HttpsProxyAgent(proxy, secure);
  return { httpAgent: tunnel, httpsAgent: tunnel };
}

function certificates(file: string): string[] {
  try {
    return [...rootCertificates, readFileSync(file, 'utf8')];
  } catch (error) {
    throw asTarnError(error, 'reading the certificates to trust');
  }
}
