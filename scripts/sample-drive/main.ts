/**
 * scripts/drive record FOLDER | calibrate FOLDER VERSION | label FOLDER CATEGORY | replay FOLDER
 *
 * The small simulated drive of the documentation. `replay` runs the recorded log through the glare
 * filter of the folder's calibration, prints metrics as JSON, and ends with 1 if the car would brake
 * for something that is not there.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { summariseLog } from './mcap-log.js';
import { recordDrive, RUN, writeCalibration, writeLabels } from './record.js';

const [verb, folder = '', value = ''] = process.argv.slice(2);

switch (verb) {
  case 'record':
    await recordDrive(folder);
    break;
  case 'calibrate':
    await writeCalibration(folder, Number(value));
    break;
  case 'label':
    await writeLabels(folder, value);
    break;
  case 'replay':
    process.exitCode = await replay(folder);
    break;
  case undefined:
  default:
    console.error(
      'drive record FOLDER | calibrate FOLDER VERSION | label FOLDER CATEGORY | replay FOLDER',
    );
    process.exitCode = 2;
}

async function replay(mounted: string): Promise<number> {
  const text = await readFile(join(mounted, 'calibration/front.yaml'), 'utf8');
  const calibration = load(text) as Calibration;
  const { messages, brakes } = await summariseLog(join(mounted, RUN, 'drive.mcap'));
  const phantoms = brakes.filter((brake) => !isFiltered(brake.reason, calibration));
  console.log(
    JSON.stringify({
      calibration: `v${calibration.version}`,
      messages,
      phantomBrakes: phantoms.length,
    }),
  );
  return phantoms.length === 0 ? 0 : 1;
}

interface Calibration {
  readonly version: number;
  readonly glare_filter: { readonly enabled: boolean; readonly low_sun_deg: number };
}

/** Whether the filter would have ignored what the camera saw with the sun that low. */
function isFiltered(reason: string, { glare_filter: filter }: Calibration): boolean {
  const degrees = Number(/sun at (\d+) degrees/.exec(reason)?.[1] ?? Infinity);
  return filter.enabled && degrees <= filter.low_sun_deg;
}
