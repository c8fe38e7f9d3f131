import type { S3Client } from '@aws-sdk/client-s3';
import { statusOf } from './faults.js';

/** What S3 says of credentials that are no longer, or not yet, good. */
const OUTDATED =
  /^(ExpiredToken|ExpiredTokenException|TokenRefreshRequired|InvalidToken|InvalidAccessKeyId)$/;
const BAD_REQUEST = 400;

/**
 * Makes the client ask for credentials again when the store finds them outdated, and send the request
 * again where others were found: a file of them has been renewed, or its role was taken anew.
 */
export function renewCredentials(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const before = await client.config.credentials();
        try {
          return await next(args);
        } catch (error) {
          if (!isOutdated(error, commandName)) throw error;
          const now = await client.config.credentials({ forceRefresh: true }).catch(() => before);
          const isSame =
            now.accessKeyId === before.accessKeyId && now.sessionToken === before.sessionToken;
          if (isSame) throw error;
          return next(args);
        }
      },
    { step: 'initialize', name: 'renewCredentials' },
  );
}

/** The answer to a HEAD has no words. */
function isOutdated(error: unknown, command: string | undefined): boolean {
  if (OUTDATED.test((error as Error).name)) return true;
  return command === 'HeadObjectCommand' && statusOf(error) === BAD_REQUEST;
}
