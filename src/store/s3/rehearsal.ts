import { Readable } from 'node:stream';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';

/**
 * Has a first request made that goes nowhere: the SDK's first takes ten times as long as those that
 * follow, of any client.
 */
export async function rehearse(): Promise<void> {
  const answer = { statusCode: 206, headers: { 'content-length': '0' }, body: Readable.from([]) };
  const client = new S3Client({
    region: 'us-east-1',
    credentials: { accessKeyId: 'nobody', secretAccessKey: 'nothing' },
    requestHandler: { handle: () => Promise.resolve({ response: answer }) },
  });
  await client.send(new GetObjectCommand({ Bucket: 'rehearsal', Key: 'nothing' }));
  client.destroy();
}
