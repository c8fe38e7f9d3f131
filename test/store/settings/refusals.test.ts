import { afterEach, describe, expect, it } from 'vitest';
import { openBucket } from '../../../src/store/open-bucket.js';
import { TarnError } from '../../../src/util/errors.js';
import { ownEnvironment } from './environment.js';
import type { Answer, Recorder } from './recorder.js';
import { startRecorder } from './recorder.js';

const setEnvironment = ownEnvironment();
let store: Recorder | undefined;
afterEach(() => store?.stop());

/** What is said of a look-up, which is a HEAD, that the store refuses with this answer. */
async function refusalOf(answer: Answer, scheme = 'http'): Promise<TarnError> {
  store = await startRecorder({
    answer: ({ method }) => ({ ...answer, ...(method === 'HEAD' ? { body: '' } : {}) }),
  });
  setEnvironment({ AWS_ACCESS_KEY_ID: 'AK', AWS_SECRET_ACCESS_KEY: 's', AWS_REGION: 'us-east-1' });
  const options = { endpoint: store.endpoint.replace('http', scheme) };
  const bucket = await openBucket({ kind: 's3', bucket: 'fleet', prefix: 'drive', options });
  try {
    await bucket.head('tarn.json');
  } catch (error) {
    if (error instanceof TarnError) return error;
    throw error;
  } finally {
    await bucket.close();
  }
  throw new Error('the store did not refuse');
}

function refused(status: number, code: string, message: string): Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return { status, headers: { 'x-amz-bucket-region': 'eu-central-1' }, body };
}

describe('what a store refuses in the answer to a HEAD', () => {
  it.each([
    [
      refused(301, 'PermanentRedirect', 'use the specified endpoint'),
      /^the bucket is in another region; .*'tarn.json' in 's3:\/\/fleet\/drive': use the/,
      /own region, eu-central-1, and endpoint/,
    ],
    [
      refused(400, 'AuthorizationHeaderMalformed', 'the region is wrong'),
      /^the bucket is in another region; .*the region is wrong/,
      /own region, eu-central-1, and endpoint/,
    ],
    [
      refused(403, 'RequestTimeTooSkewed', 'too large a difference'),
      /^this machine's clock is wrong, says the store/,
      /timedatectl/,
    ],
    [
      refused(403, 'InvalidAccessKeyId', 'no such key'),
      /^the store refuses; .*no such key/,
      /check which credentials are found/,
    ],
    [refused(400, 'ExpiredToken', 'too old'), /^the credentials have expired/, /^renew them/],
    [
      { status: 400 },
      /^the store refuses without a reason/,
      /check that the credentials that are found have not expired/,
    ],
  ])('is told in words (%#)', async (answer, message, hint) => {
    const refusal = await refusalOf(answer);
    expect(refusal.message).toMatch(message);
    expect(refusal.hint).toMatch(hint);
  });

  it('is told where a server has no TLS', async () => {
    const refusal = await refusalOf({ status: 200 }, 'https');
    expect(refusal.message).toMatch(/^the server speaks no TLS/);
    expect(refusal.hint).toContain('http:// instead of https://');
  });
});
