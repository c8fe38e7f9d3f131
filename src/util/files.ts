import { read } from 'node:fs';

/** The file's bytes from `offset`; fewer than `length` only where the file ends. */
export async function readAt(fd: number, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  const count = await readInto(fd, bytes, offset);
  return count === length ? bytes : bytes.subarray(0, count);
}

/** Fills `target` from the file's `offset`; resolves to how many bytes there were. */
export async function readInto(fd: number, target: Uint8Array, offset: number): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const count = await readOnce(fd, target, filled, offset + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

function readOnce(fd: number, target: Uint8Array, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, target, at, target.length - at, position, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}
