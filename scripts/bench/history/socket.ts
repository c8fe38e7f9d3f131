import { Agent, request } from 'node:http';

/** Answers of the daemon: `rows` streamed and the `result` at the end. */
export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly result: Readonly<Record<string, unknown>>;
}

const PROTOCOL = '1';

/** Speaks to a daemon over its unix socket, on connections that are kept. */
export class DaemonSocket {
  readonly #path: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(path: string) {
    this.#path = path;
  }

  async call(operation: string, args: Readonly<Record<string, unknown>>): Promise<Answer> {
    const [path, body] = [`/v1/${operation}`, JSON.stringify(args)];
    // A connection that the daemon has closed meanwhile is only found out by using it.
    const text = await this.#post(path, body).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error;
      return this.#post(path, body);
    });
    const rows: Record<string, unknown>[] = [];
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const frame = JSON.parse(line) as Frame;
      if (frame.row !== undefined) rows.push(frame.row);
      else if (frame.done !== undefined) return { rows, result: frame.done };
      else if (frame.error !== undefined) throw new Error(`${operation}: ${frame.error.message}`);
    }
    throw new Error(`${operation}: the answer broke off`);
  }

  close(): void {
    this.#agent.destroy();
  }

  #post(path: string, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.#path, path, method: 'POST', agent: this.#agent };
      const headers = { 'tarn-protocol': PROTOCOL, 'content-type': 'application/json' };
      const sent = request({ ...options, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
        response.on('error', reject);
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
}

interface Frame {
  readonly row?: Record<string, unknown>;
  readonly done?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}
