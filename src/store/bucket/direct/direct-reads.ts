import { SOCKETS_MAX } from '../agents.js';
import type { ConnectTo, Place } from '../agents.js';
import type { DirectAnswer, DirectRequest } from './direct-connection.js';
import { DirectConnection, UnansweredFault } from './direct-connection.js';

/** Requests whose bodies go straight where they are wanted, over connections that are kept open. */
export class DirectReads {
  readonly #connectTo: ConnectTo;
  readonly #timeoutMs: number;
  /** With the place that each goes to. */
  readonly #open = new Map<DirectConnection, string>();

  /** @param timeoutMs a request during which nothing comes for so long fails */
  constructor(connectTo: ConnectTo, timeoutMs: number) {
    this.#connectTo = connectTo;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether it can take another request. */
  hasRoom(place: Place): boolean {
    return this.#open.size < SOCKETS_MAX || this.#free(nameOf(place)) !== undefined;
  }

  /**
   * Sends the request, once more where a connection turns out to have been closed: it must be one that
   * changes nothing.
   * @throws an AbortError; what the system, or TLS, says of the connection
   */
  async ask(place: Place, request: DirectRequest): Promise<DirectAnswer> {
    const free = this.#free(nameOf(place));
    if (free === undefined) return this.#opened(place).ask(request);
    try {
      return await free.ask(request);
    } catch (error) {
      if (!(error instanceof UnansweredFault)) throw error;
      return this.#opened(place).ask(request);
    }
  }

  destroy(): void {
    for (const connection of this.#open.keys()) connection.destroy();
  }

  /** The first of them, so that those that are not needed are left for the server to close. */
  #free(name: string): DirectConnection | undefined {
    for (const [connection, its] of this.#open) {
      if (its === name && connection.isFree) return connection;
    }
    return undefined;
  }

  #opened(place: Place): DirectConnection {
    const connect = this.#connectTo.bind(undefined, place);
    const connection: DirectConnection = new DirectConnection(connect, this.#timeoutMs, () =>
      this.#open.delete(connection),
    );
    this.#open.set(connection, nameOf(place));
    return connection;
  }
}

function nameOf({ isSecure, host, port }: Place): string {
  return `${isSecure ? 'https' : 'http'}://${host}:${port}`;
}
