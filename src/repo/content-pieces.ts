import type { FileEntry } from '../model/entry.js';
import { TarnError } from '../util/errors.js';
import { packKey, wholeKey } from './layout.js';

/** A run of a file's bytes in an object. */
export interface Piece {
  readonly object: string;
  /** From the start of the object. */
  readonly offset: number;
  readonly length: number;
}

/** Where a file's bytes lie in the repository, in order; an imported one has none there. */
export function piecesOf(entry: FileEntry): Piece[] {
  const { address, content, size } = entry;
  switch (address.kind) {
    case 'none':
    case 'imported':
      return [];
    case 'whole':
      return [{ object: wholeKey(content), offset: 0, length: size }];
    case 'packed':
      return [{ object: packKey(address.pack), offset: address.offset, length: size }];
    case 'extents':
      return address.extents.map(({ source, offset, length }) => ({
        object: source.kind === 'pack' ? packKey(source.pack) : wholeKey(source.content),
        offset,
        length,
      }));
  }
}

/** The parts of `pieces` that make up bytes [start, end) of the file. */
export function cutPieces<P extends { readonly offset: number; readonly length: number }>(
  pieces: readonly P[],
  start: number,
  end: number,
): P[] {
  const cut: P[] = [];
  let at = 0;
  for (const piece of pieces) {
    const { offset, length } = piece;
    const from = Math.max(start, at);
    const to = Math.min(end, at + length);
    if (from < to) cut.push({ ...piece, offset: offset + from - at, length: to - from });
    at += length;
  }
  return cut;
}

/** @throws TarnError corrupt when an entry's address cannot hold its bytes */
export function checkPieces(pieces: readonly Piece[], size: number): void {
  const total = pieces.reduce((sum, { length }) => sum + length, 0);
  if (total === size) return;
  throw new TarnError('corrupt', `an entry of ${size} bytes has an address of ${total} bytes`);
}
