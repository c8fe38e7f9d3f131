import { open } from 'node:fs/promises';

/** What a reader here and there asks for. */
export const PIECE_BYTES = 4_096;

/** Opens the file for it, as programs do that want no more of it. */
export async function readPiece(path: string, offset: number, length: number): Promise<void> {
  const file = await open(path);
  try {
    const bytes = Buffer.alloc(length);
    for (let read = 0; read < length;) {
      const { bytesRead } = await file.read(bytes, read, length - read, offset + read);
      if (bytesRead === 0) throw new Error(`'${path}' ends before ${offset + length}`);
      read += bytesRead;
    }
  } finally {
    await file.close();
  }
}
