import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { writeFrames } from './camera.js';
import { writePointCloud } from './lidar.js';
import { writeLog } from './mcap-log.js';
import { GLARE_FROM_S, GLARE_TO_S } from './world.js';

export const RUN = 'raw/2025-06-14/run-8421';

/** Records the drive below `folder`: log, frames, point cloud, calibration and labels. */
export async function recordDrive(folder: string): Promise<void> {
  const run = join(folder, RUN);
  await mkdir(join(run, 'frames/front'), { recursive: true });
  await mkdir(join(run, 'lidar'), { recursive: true });
  await mkdir(join(folder, 'calibration'), { recursive: true });
  await mkdir(join(folder, 'labels'), { recursive: true });
  await writeLog(join(run, 'drive.mcap'));
  await writeFrames(join(run, 'frames/front'));
  await writePointCloud(join(run, 'lidar/000000.las'));
  await writeCalibration(folder, 7);
  await writeLabels(folder, 'phantom obstacle');
}

export async function writeCalibration(folder: string, version: number): Promise<void> {
  const calibration = {
    version,
    camera: 'front',
    image_size: [160, 120],
    focal_px: version === 7 ? [182.4, 182.6] : [181.9, 182.1],
    centre_px: [80.1, 59.7],
    glare_filter: { enabled: version !== 7, low_sun_deg: 6 },
  };
  await writeFile(join(folder, 'calibration/front.yaml'), dump(calibration));
}

export async function writeLabels(folder: string, category: string): Promise<void> {
  const labels = [];
  for (let second = GLARE_FROM_S; second < GLARE_TO_S; second++) {
    labels.push({
      frame: `${RUN}/frames/front/${String(second).padStart(6, '0')}.png`,
      box_px: [96, 30, 140, 66],
      category,
    });
  }
  const document = { guide: 'v3', labels };
  await writeFile(join(folder, 'labels/run-8421.json'), `${JSON.stringify(document, null, 2)}\n`);
}
