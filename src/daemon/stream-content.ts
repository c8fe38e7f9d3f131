import type { Content } from '../repo/content.js';
import { TarnError } from '../util/errors.js';
import type { Output } from './output.js';

/** Bytes read at once: one block, so that each is verified once. */
const PIECE_BYTES = 1_048_576;

/** Sends bytes [start, end) of the content, cut at its end; resolves to how many they were. */
export async function streamContent(
  content: Content,
  start: number,
  end: number,
  output: Output<never>,
  signal: AbortSignal,
): Promise<number> {
  const last = Math.min(end, content.size);
  let at = start;
  while (at < last) {
    const length = Math.min(PIECE_BYTES - (at % PIECE_BYTES), last - at);
    const bytes = await content.read(at, length, signal);
    if (bytes.length !== length) {
      throw new TarnError(
        'corrupt',
        `content ${content.id} ended early, at byte ${at + bytes.length}`,
      );
    }
    await output.bytes(bytes);
    at += length;
  }
  return Math.max(0, last - start);
}
