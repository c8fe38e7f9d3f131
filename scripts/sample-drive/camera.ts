import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { DURATION_S, inGlare, poseAt } from './world.js';

const WIDTH = 160;
const HEIGHT = 120;

/** Writes one PNG frame a second: road, sky, and the low sun that whites out the incident. */
export async function writeFrames(folder: string): Promise<void> {
  for (let second = 0; second < DURATION_S; second++) {
    const png = new PNG({ width: WIDTH, height: HEIGHT });
    const glare = inGlare(second) ? 1 : 0.15;
    const shift = Math.round(-poseAt(second).x) % 16;
    for (let y = 0; y < HEIGHT; y++) {
      for (let x = 0; x < WIDTH; x++) {
        const sky = y < HEIGHT * 0.45;
        const lane = !sky && Math.abs(x - WIDTH / 2) < 2 && (y + shift) % 16 < 8;
        const base = sky ? 150 : lane ? 230 : 70;
        const sun = Math.max(0, 1 - Math.hypot(x - WIDTH * 0.7, y - HEIGHT * 0.4) / 70);
        const level = Math.min(255, Math.round(base + 255 * glare * sun));
        const at = (y * WIDTH + x) * 4;
        png.data[at] = level;
        png.data[at + 1] = Math.round(level * 0.95);
        png.data[at + 2] = Math.round(level * (sky ? 1 : 0.85));
        png.data[at + 3] = 255;
      }
    }
    const name = `${String(second).padStart(6, '0')}.png`;
    await writeFile(join(folder, name), PNG.sync.write(png));
  }
}
