import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect } from 'node:net';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { SendOptions } from './handler.js';
import { S3Handler } from './handler.js';

const ANSWER = 'nothing';
const ATTEMPT_MS = 1_000;

/**
 * Has an object read, in both ways in which they are, from a server in this process: the first requests of
 * the SDK and of Node take ten times as long as those that follow, of any client.
 */
export async function rehearse(): Promise<void> {
  // Of Linux' own name space, where nothing is left over.
  const path = `\0tarn-rehearsal-${randomUUID()}`;
  const server = createServer((_request, response) => response.end(ANSWER)).listen(path);
  const client = clientOf(path);
  try {
    await once(server, 'listening');
    const command = new GetObjectCommand({ Bucket: 'rehearsal', Key: 'nothing' });
    for (const into of [undefined, Buffer.alloc(ANSWER.length)]) {
      const options: SendOptions = { into };
      const { Body } = await client.send(command, options);
      await Body?.transformToByteArray();
    }
  } finally {
    client.destroy();
    server.close();
  }
}

/** Knows no other place than this socket, whatever proxies and credentials there are. */
function clientOf(path: string): S3Client {
  const httpAgent = new Agent({ keepAlive: true });
  httpAgent.createConnection = () => connect(path);
  return new S3Client({
    region: 'us-east-1',
    endpoint: 'http://rehearsal',
    credentials: { accessKeyId: 'nobody', secretAccessKey: 'nothing' },
    requestHandler: new S3Handler(
      {
        httpAgent,
        httpsAgent: new HttpsAgent(),
        anyAgent: httpAgent,
        connectTo: (_place, onread) => connect({ path, onread }),
      },
      ATTEMPT_MS,
    ),
  });
}
