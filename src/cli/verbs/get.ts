import { mkdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Place } from '../../daemon/protocol/terms.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import { ask } from '../ask.js';
import type { Command } from '../command.js';
import { EXIT } from '../command.js';
import { humanBytes, plural } from '../../util/format.js';
import { ADDRESS, placeOf } from '../places.js';
import { Receiver } from '../receiver.js';

const get: Command = {
  name: 'get',
  summary: 'Copy a file or folder of a moment to this machine',
  positionals: [
    ADDRESS,
    {
      name: 'DST',
      what: 'a file takes this name, or goes into DST where that is a folder; with -r what is below ADDRESS comes directly below DST, which is made if missing',
    },
  ],
  options: {
    recursive: { short: 'r', what: 'copy a folder' },
    force: { short: 'f', what: 'overwrite files that exist' },
  },
  notes: [
    'Permission bits, modification times and symbolic links are restored, every byte is checked by its hash, and a file appears whole or not at all. Nothing is written outside of DST or through a symbolic link. What cannot be made here (a name too long, a file that exists) is named, all else is copied, and the exit code is 1.',
  ],
  examples: [
    { command: 'tarn get drive/golden/calibration/front.yaml .', what: 'one file' },
    {
      command: 'tarn get -r drive/golden/raw/2025-06-14/run-8421 ./run-8421',
      what: 'a folder; to read without copying use tarn mount',
    },
  ],
  async run(input, context) {
    const { terminal } = context;
    const [address = '', destination = ''] = input.positionals;
    const place = placeOf(address);
    const recursive = input.flag('recursive');
    const { root, name } = recursive
      ? { root: await existingRoot(destination), name: undefined }
      : await fileTarget(place, destination);
    const receiver = new Receiver(root, input.flag('force'));
    try {
      await ask(
        context,
        'get',
        { ...place, recursive },
        {
          onRow: async (row) => {
            terminal.status(`${plural(receiver.files, 'file')}, ${humanBytes(receiver.bytes)}`);
            await receiver.row(name === undefined ? row : { ...row, path: name });
          },
          onBytes: (bytes) => receiver.content(bytes),
        },
      );
      await receiver.done();
    } finally {
      await receiver.abort();
      terminal.clearStatus();
    }
    const { files, bytes, problems } = receiver;
    for (const { path, why } of problems) terminal.note(`failed ${path}: ${why}`);
    await terminal.result(
      { files, bytes, failed: problems },
      `copied ${plural(files, 'file')}, ${humanBytes(bytes)} to ${destination}`,
    );
    return problems.length === 0 ? EXIT.done : EXIT.failed;
  },
};

async function existingRoot(destination: string): Promise<string> {
  try {
    await mkdir(destination, { recursive: true });
    return await realpath(destination);
  } catch (error) {
    throw asTarnError(error, `making '${destination}'`);
  }
}

async function fileTarget(
  place: Place,
  destination: string,
): Promise<{ root: string; name: string }> {
  const found = await stat(destination).catch(() => undefined);
  if (found?.isDirectory() === true) {
    return { root: await realpath(destination), name: basename(place.path) };
  }
  const parent = dirname(resolve(destination));
  const root = await realpath(parent).catch(() => {
    throw new TarnError('not-found', `there is no folder '${parent}' to copy into`, {
      hint: `make it with 'mkdir -p ${parent}'`,
    });
  });
  return { root: join(root), name: basename(resolve(destination)) };
}

export const commands: readonly Command[] = [get];
