import { readFileSync } from 'node:fs';
import type { Agent, ClientRequest } from 'node:http';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { OnReadOpts, Socket } from 'node:net';
import { connect, isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import { connect as connectSecure, createSecureContext, rootCertificates } from 'node:tls';
import { Agent as ConnectingAgent } from 'agent-base';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { BucketOptions } from '../storage-url.js';

/** As many as there are requests in flight at most: each connection carries one at a time. */
export const SOCKETS_MAX = 64;

/**
 * What comes over all connections comes through one buffer, since Node's parser of HTTP copies what it
 * keeps before it returns: a new buffer for each piece gave the collector half as much again to do.
 */
const INTO_ONE_BUFFER: OnReadOpts = {
  buffer: Buffer.allocUnsafeSlow(262_144),
  callback(this: Socket, length: number, buffer: Uint8Array): boolean {
    this.emit('data', Buffer.from(buffer.buffer, buffer.byteOffset, length));
    return true;
  },
};

/** For `http:`, for `https:`, and for whichever a URL has. */
export interface Agents {
  readonly httpAgent: Agent;
  readonly httpsAgent: Agent;
  readonly anyAgent: Agent;
  /** Undefined where a proxy may lie between. */
  readonly connectTo: ConnectTo | undefined;
}

type Pair = Pick<Agents, 'httpAgent' | 'httpsAgent'>;

export interface Place {
  readonly isSecure: boolean;
  /** A name or an address, which of IPv6 has no brackets. */
  readonly host: string;
  readonly port: number;
}

/** Opens a connection outside of the agents, which trusts what they trust. */
export type ConnectTo = (place: Place, onread: OnReadOpts) => Socket;

/**
 * Keep connections open, through the proxy that the options or the environment name. Where credentials
 * are asked for is reached in the same way.
 * @throws TarnError not-found, denied, io: the file of certificates
 */
export function agentsFor({ caFile, proxy }: BucketOptions): Agents {
  const shared = { keepAlive: true, maxSockets: SOCKETS_MAX };
  const secure: ProxyOptions =
    caFile === undefined ? shared : { ...shared, secureContext: trusting(caFile) };
  const direct = {
    httpAgent: new HttpAgent({ ...shared, onread: INTO_ONE_BUFFER }),
    httpsAgent: new HttpsAgent({ ...secure, onread: INTO_ONE_BUFFER }),
  };
  const anyAgent = new RoutingAgent(direct, secure, proxy);
  if (proxy !== undefined || isProxyInEnvironment()) {
    return { httpAgent: anyAgent, httpsAgent: anyAgent, anyAgent, connectTo: undefined };
  }
  return { ...direct, anyAgent, connectTo: connecting(secure) };
}

function connecting({ secureContext }: ProxyOptions): ConnectTo {
  return ({ isSecure, host, port }, onread) => {
    const to = { host, port, onread };
    if (!isSecure) return connect(to);
    return connectSecure({
      ...to,
      // An address is no name that a server could go by.
      servername: isIP(host) === 0 ? host : '',
      ALPNProtocols: ['http/1.1'],
      ...(secureContext === undefined ? {} : { secureContext }),
    });
  };
}

function isProxyInEnvironment(): boolean {
  return Object.entries(process.env).some(
    ([name, value]) => /^(https?|all)_proxy$/i.test(name) && value !== '',
  );
}

/**
 * Hands each request to the agent of its proxy: hosts of one service may differ in it. At once, since an
 * agent of a proxy changes what is asked for before the headers are written.
 */
class RoutingAgent extends ConnectingAgent {
  readonly #direct: Pair;
  readonly #options: ProxyOptions;
  readonly #proxy: string | undefined;
  readonly #through = new Map<string, Pair>();

  constructor(direct: Pair, options: ProxyOptions, proxy: string | undefined) {
    super({ keepAlive: options.keepAlive });
    this.#direct = direct;
    this.#options = options;
    this.#proxy = proxy;
  }

  addRequest(request: ClientRequest, options: Asked): void {
    const secureEndpoint = request.protocol === 'https:';
    const { host = '', port = '' } = options;
    const url = `${request.protocol}//${host.includes(':') ? `[${host}]` : host}:${port}`;
    const proxy = this.#proxy ?? getProxyForUrl(url);
    const { httpAgent, httpsAgent } = proxy === '' ? this.#direct : this.#agentsOf(proxy);
    const agent = (secureEndpoint ? httpsAgent : httpAgent) as Taking;
    // A tunnel takes the certificates from its request.
    const { secureContext } = this.#options;
    const trusted = secureContext === undefined ? {} : { secureContext };
    agent.addRequest(request, { ...options, secureEndpoint, ...trusted });
  }

  override connect(): never {
    throw new TarnError('internal', 'a request was not handed on');
  }

  override destroy(): void {
    for (const { httpAgent, httpsAgent } of [this.#direct, ...this.#through.values()]) {
      httpAgent.destroy();
      httpsAgent.destroy();
    }
    super.destroy();
  }

  #agentsOf(proxy: string): Pair {
    let agents = this.#through.get(proxy);
    if (agents === undefined) {
      agents = {
        httpAgent: new HttpProxyAgent(proxy, this.#options),
        httpsAgent: new HttpsProxyAgent(proxy, this.#options),
      };
      this.#through.set(proxy, agents);
    }
    return agents;
  }
}

interface Asked {
  readonly host?: string;
  readonly port?: number | string;
}

/** What Node's own agents and those of proxies do with a request. */
interface Taking extends Agent {
  addRequest(request: ClientRequest, options: object): void;
}

interface ProxyOptions {
  readonly keepAlive: boolean;
  readonly maxSockets: number;
  readonly secureContext?: SecureContext;
}

/**
 * Beside what Node trusts by itself. Made once: reading all certificates for each connection takes longer
 * than connecting.
 */
function trusting(file: string): SecureContext {
  const { NODE_EXTRA_CA_CERTS: extra = '' } = process.env;
  try {
    const given = [file, ...(extra === '' ? [] : [extra])].map((name) =>
      readFileSync(name, 'utf8'),
    );
    return createSecureContext({ ca: [...rootCertificates, ...given] });
  } catch (error) {
    throw asTarnError(error, 'reading the certificates to trust');
  }
}
