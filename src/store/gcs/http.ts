import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { GoogleAuth } from 'google-auth-library';
import type { Agents } from '../bucket/agents.js';
import { agentsFor } from '../bucket/agents.js';
import type { BucketOptions } from '../storage-url.js';

const SERVICE = 'https://storage.googleapis.com';
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';

/** Requests name none; without a name the library looks for one, for seconds where there is none. */
const NO_PROJECT = 'none';

export interface GcsRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the service, with its query; or a whole URL that the service gave. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends requests to the JSON API, with the credentials that Google's chain finds. None are sent
 * without TLS.
 */
export class GcsHttp {
  /** URL. */
  readonly service: string;
  readonly #agents: Agents;
  readonly #auth: GoogleAuth | undefined;

  /** @throws TarnError not-found, denied: the file of certificates */
  constructor(options: BucketOptions) {
    this.service = options.endpoint ?? emulator() ?? SERVICE;
    this.#agents = agentsFor(options);
    const isSecure = this.service.startsWith('https:');
    const transporterOptions = { agent: this.#agents.anyAgent };
    this.#auth = isSecure
      ? new GoogleAuth({
          scopes: [SCOPE],
          projectId: NO_PROJECT,
          clientOptions: { transporterOptions },
        })
      : undefined;
  }

  /** The answer, whatever its status, with its body yet to be read. */
  async send({ method, path, headers = {}, body, signal }: GcsRequest): Promise<IncomingMessage> {
    const url = new URL(path, this.service);
    const credentials = await this.#auth?.getRequestHeaders(url.href);
    const isSecure = url.protocol === 'https:';
    const start = isSecure ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const sent = start(url, {
        method,
        agent: isSecure ? this.#agents.httpsAgent : this.#agents.httpAgent,
        headers: {
          ...Object.fromEntries(credentials ?? []),
          ...headers,
          'content-length': String(body?.length ?? 0),
        },
        ...(signal === undefined ? {} : { signal }),
      });
      sent.on('response', resolve);
      sent.on('error', reject);
      sent.end(body);
    });
  }

  close(): void {
    this.#agents.anyAgent.destroy();
  }
}

/** As Google's own libraries have it. */
function emulator(): string | undefined {
  const host = process.env['STORAGE_EMULATOR_HOST'];
  if (host === undefined) return undefined;
  return /^https?:/.test(host) ? host : `http://${host}`;
}
