import { throwIfAborted } from '../../util/abort.js';
import type { MaybePromise } from '../../util/async.js';
import { andThen } from '../../util/async.js';
import { TarnError } from '../../util/errors.js';

/** The committed bytes that a partial file shows; a Content of the repository is one. */
export interface BaseBytes {
  readonly size: number;
  /** Where they lie in a local file, all of them and verified; open as long as this is used. */
  readonly local?: { readonly fd: number; readonly offset: number };
  /** Fewer bytes than `length` only at the end. */
  read(offset: number, length: number, signal?: AbortSignal): MaybePromise<Uint8Array>;
}

/** All of bytes [start, end) of a base. @throws TarnError corrupt when it has fewer, aborted */
export function readBase(
  base: BaseBytes | undefined,
  start: number,
  end: number,
  signal: AbortSignal,
): MaybePromise<Uint8Array> {
  throwIfAborted(signal);
  if (base === undefined)
    throw new TarnError('internal', 'a partial file was used without its base');
  return andThen(base.read(start, end - start, signal), (bytes) => {
    if (bytes.length === end - start) return bytes;
    throw new TarnError(
      'corrupt',
      `the committed bytes of a changed file end at ${start + bytes.length}, ${end} must be there`,
    );
  });
}
