import { setTimeout as sleep } from 'node:timers/promises';
import type { Around, BucketCall } from '../../../src/store/bucket/around.js';
import { TransientFault } from '../../../src/store/bucket/faults.js';

/** What becomes of one request. */
export type Failure =
  | { readonly kind: 'latency'; readonly ms: number }
  /** Not done, and said so. */
  | { readonly kind: 'error'; readonly isThrottled?: boolean }
  /** Done, and answered with an error. */
  | { readonly kind: 'done-but-error' }
  /** No answer ever comes. */
  | { readonly kind: 'stall' }
  /** Bytes of the answer are lost, or wrong, without anybody saying so. */
  | { readonly kind: 'short' | 'wrong' };

/** Put around a bucket's requests, of which it fails those that `plan` says. */
export function failing(plan: (call: BucketCall) => Failure | undefined): Around {
  return async (call, run) => {
    const failure = plan(call);
    switch (failure?.kind) {
      case undefined:
        return run(call.signal);
      case 'latency':
        await sleep(failure.ms);
        return run(call.signal);
      case 'error':
        throw new TransientFault('made to fail', { isThrottled: failure.isThrottled ?? false });
      case 'done-but-error':
        await run(call.signal);
        throw new TransientFault('made to lose the answer');
      case 'stall':
        return new Promise(() => undefined);
      case 'short':
      case 'wrong':
        return changed(await run(call.signal), failure.kind);
    }
  };
}

function changed<T>(result: T, how: 'short' | 'wrong'): T {
  const { bytes } = (result ?? {}) as { bytes?: Uint8Array };
  if (bytes === undefined) return result;
  const middle = Math.floor(bytes.length / 2);
  if (how === 'short') return { ...result, bytes: bytes.subarray(0, middle) };
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
  return result;
}
