import type { Command } from '../command.js';
import { EXIT, UsageError } from '../command.js';
import { ask } from '../ask.js';
import { humanBytes, plural } from '../../util/format.js';
import { branchPlaceOf } from '../places.js';
import { resolveSources, spoolInput } from '../sources.js';

const put: Command = {
  name: 'put',
  summary: 'Stage files or folders of this machine on a branch',
  positionals: [
    {
      name: 'SRC',
      what: "a file, a folder (with -r) or '-' for what comes in on stdin",
      many: true,
    },
    {
      name: 'ADDRESS',
      what: "where to, as drive/main/raw/2025-06-14/run-8421: a single file gets this path, or goes into it when it ends with '/'; several files go into it",
    },
  ],
  options: {
    recursive: { short: 'r', what: 'take folders: what is below SRC comes directly below ADDRESS' },
  },
  notes: [
    "What is staged is durable and shows in 'tarn ls' and 'tarn status', but belongs to no commit until 'tarn commit'. Permission bits, modification times, symbolic links and empty folders are kept; sockets, FIFOs and devices are left out and named. If some files cannot be read, all others are staged, those are named, and the exit code is 1.",
  ],
  examples: [
    {
      command: 'tarn put -r ./run-8421 drive/main/raw/2025-06-14/run-8421',
      what: 'a folder, so that ./run-8421/log.mcap becomes raw/2025-06-14/run-8421/log.mcap',
    },
    {
      command: 'tarn put front.yaml rear.yaml drive/main/calibration/',
      what: 'files into a folder',
    },
    {
      command: 'gen-labels | tarn put - drive/main/labels/run-8421.json',
      what: 'what a program prints',
    },
  ],
  async run(input, context) {
    const sources = input.positionals.slice(0, -1);
    const to = input.positionals.at(-1) ?? '';
    const place = branchPlaceOf(to);
    const recursive = input.flag('recursive');
    if (sources.includes('-') && sources.length > 1) {
      throw new UsageError("'-' (stdin) cannot be put together with other sources");
    }
    if (sources[0] === '-' && (place.path === '' || place.path.endsWith('/'))) {
      throw new UsageError(`'${to}' names no file for what comes in on stdin`, 'name the file');
    }
    const spooled = sources[0] === '-' ? await spoolInput(context) : undefined;
    try {
      const paths =
        spooled === undefined ? await resolveSources(sources, recursive) : [spooled.path];
      return await stage({ ...place, sources: paths, recursive }, context);
    } finally {
      await spooled?.remove();
    }
  },
};

async function stage(
  args: Parameters<typeof ask<'put'>>[2],
  context: Parameters<Command['run']>[1],
): Promise<number> {
  const { terminal } = context;
  const result = await ask(context, 'put', args, {
    onProgress: ({ files, bytes, current }) => {
      terminal.status(
        `${files.toLocaleString('en-US')} files, ${humanBytes(bytes)}  ${current ?? ''}`,
      );
    },
  });
  terminal.clearStatus();
  for (const { path, why } of result.skipped) terminal.note(`skipped ${path}: ${why}`);
  for (const { path, why } of result.failures) terminal.note(`failed ${path}: ${why}`);
  const { files, symlinks, bytes, failureCount } = result;
  const links = symlinks === 0 ? '' : `, ${plural(symlinks, 'symbolic link')}`;
  const on = `${args.repository}/${args.branch}`;
  const staged = `staged ${plural(files, 'file')}${links}, ${humanBytes(bytes)} on ${on}`;
  await terminal.result(result, staged);
  if (failureCount === 0) return EXIT.done;
  terminal.note(`tarn: ${plural(failureCount, 'path')} could not be put; all others are staged`);
  return EXIT.failed;
}

export const commands: readonly Command[] = [put];
