import { writeFile } from 'node:fs/promises';
import { noise } from './world.js';

const HEADER_BYTES = 227;
const POINT_BYTES = 20;
const SCALE_M = 0.001;

/**
 * Writes one lidar sweep as LAS 1.2, point format 0 (ASPRS LAS Specification 1.2): a flat road, two
 * kerbs and a parked car.
 */
export async function writePointCloud(path: string, points = 20_000): Promise<void> {
  const bytes = Buffer.alloc(HEADER_BYTES + points * POINT_BYTES);
  const random = noise(14);
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points; i++) {
    const at = HEADER_BYTES + i * POINT_BYTES;
    pointOf(random).forEach((metres, axis) => {
      const steps = Math.round(metres / SCALE_M);
      bytes.writeInt32LE(steps, at + axis * 4);
      low[axis] = Math.min(low[axis] ?? 0, steps * SCALE_M);
      high[axis] = Math.max(high[axis] ?? 0, steps * SCALE_M);
    });
    bytes.writeUInt16LE(Math.floor(random() * 65_535), at + 12);
    bytes.writeUInt8(0b00_001_001, at + 14);
    bytes.writeUInt8(2, at + 15);
  }
  writeHeader(bytes, points, low, high);
  await writeFile(path, bytes);
}

/** Metres ahead, left and up. */
function pointOf(random: () => number): [number, number, number] {
  const ahead = random() * 60;
  const across = (random() - 0.5) * 16;
  const onCar = ahead > 20 && ahead < 24.5 && across > 2 && across < 3.9;
  const height = onCar ? random() * 1.5 : Math.abs(across) > 6 ? 0.12 : 0.02 * random();
  return [ahead, across, height];
}

function writeHeader(bytes: Buffer, points: number, low: number[], high: number[]): void {
  bytes.write('LASF', 0, 'latin1');
  bytes.writeUInt8(1, 24);
  bytes.writeUInt8(2, 25);
  bytes.write('tarn sample drive', 26, 'latin1');
  bytes.write('tarn', 58, 'latin1');
  bytes.writeUInt16LE(165, 90);
  bytes.writeUInt16LE(2025, 92);
  bytes.writeUInt16LE(HEADER_BYTES, 94);
  bytes.writeUInt32LE(HEADER_BYTES, 96);
  bytes.writeUInt8(0, 104);
  bytes.writeUInt16LE(POINT_BYTES, 105);
  bytes.writeUInt32LE(points, 107);
  bytes.writeUInt32LE(points, 111);
  for (let axis = 0; axis < 3; axis++) {
    bytes.writeDoubleLE(SCALE_M, 131 + axis * 8);
    bytes.writeDoubleLE(0, 155 + axis * 8);
    bytes.writeDoubleLE(high[axis] ?? 0, 179 + axis * 16);
    bytes.writeDoubleLE(low[axis] ?? 0, 187 + axis * 16);
  }
}
