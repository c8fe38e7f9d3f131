import type { Progress } from '../daemon/protocol.js';
import type { BringResult, ConflictRow, Version } from '../daemon/protocol/merging.js';
import { author } from './ask.js';
import type { CommandContext, Input, Option } from './command.js';
import { EXIT } from './command.js';
import { humanBytes, plural, shortDate, shortId } from '../util/format.js';
import { META_OPTION, parseMetadata } from './metadata.js';
import { wholeNumber } from './parse.js';
import type { Terminal } from './terminal.js';

/** What merge, revert and cherry-pick have in common. */

export const BRING_OPTIONS = {
  prefer: {
    value: 'SIDE[:PATTERN]',
    many: true,
    what: 'decide conflicts for src (what is brought in) or dst (the branch), with a pattern for the paths that match, as src:labels/**; may be repeated, later ones win',
  },
  meta: META_OPTION,
  'dry-run': { what: 'say what would happen, conflicts included, and change nothing' },
  author: { value: 'TEXT', what: 'who, on one line; else $TARN_AUTHOR, else your user name' },
} as const satisfies Readonly<Record<string, Option>>;

export const MESSAGE_OPTION = {
  short: 'm',
  value: 'TEXT',
} as const satisfies Partial<Option>;

export const CONFLICT_NOTES = [
  'A path that both sides changed, each in its own way, is a conflict: it is listed with its three versions, nothing changes and the exit code is 3. In a pattern * and ? stand within one component of a path, ** across any number of them, [a-z] for one character and {a,b} for either.',
  'It works on what is committed. What is staged on the branch stays staged, and is checked against the new head when it is committed.',
] as const;

export const MAINLINE_OPTION: Option = {
  value: 'N',
  what: 'of a merge: count its changes from its parent number N, from 1; 1 is the branch that was merged into',
};

export function bringArguments(input: Input) {
  return {
    author: input.value('author') ?? author(),
    metadata: parseMetadata(input.values('meta')),
    prefer: input.values('prefer'),
    dryRun: input.flag('dry-run'),
  };
}

/** @throws UsageError */
export function mainlineOf(input: Input): { mainline?: number } {
  const given = input.value('mainline');
  return given === undefined ? {} : { mainline: wholeNumber(given, 'mainline') };
}

export function messageOf(input: Input): { message?: string } {
  const message = input.value('message');
  return message === undefined || message.trim() === '' ? {} : { message };
}

/** Shows how far it is, and each conflict with its versions, one below the other. */
export function listeners(terminal: Terminal) {
  const onProgress = ({ files, current = '' }: Progress): void =>
    terminal.status(`found ${plural(files, 'change')}, at ${current}`);
  const onRow = (row: ConflictRow): Promise<void> | void => {
    terminal.clearStatus();
    return terminal.row(row, () => {
      const base = row.baseUnclear === true ? 'differs: the sides crossed' : versionText(row.base);
      return [
        terminal.name(row.path),
        `  base    ${base}`,
        `  ours    ${versionText(row.ours)}`,
        `  theirs  ${versionText(row.theirs)}`,
      ].join('\n');
    });
  };
  return { onRow, onProgress };
}

function versionText(version: Version | undefined): string {
  if (version === undefined) return '(none)';
  const { size, mode, mtime, content, target } = version;
  const what = target === undefined ? shortContent(content ?? '') : `-> ${target}`;
  return `${humanBytes(size).padStart(10)}  ${mode}  ${shortDate(mtime)}  ${what}`;
}

function shortContent(id: string): string {
  const [kind = '', hash = ''] = id.split(':');
  return `${kind}:${hash.slice(0, 12)}`;
}

/**
 * Prints what came of it and gives the exit code.
 * @param done what was done, as "merged incident-8421"; of a dry run "merge incident-8421"
 */
export async function report(
  { terminal }: CommandContext,
  result: BringResult,
  words: { readonly done: string; readonly would: string; readonly nothing: string },
): Promise<number> {
  const place = `${result.repository}/${result.branch}`;
  terminal.clearStatus();
  await terminal.result(result, textOf(result, place, words));
  if (result.leavesStaged === true) {
    terminal.note('note: the source has staged changes; only what is committed is merged');
  }
  if (result.result !== 'conflicts') return EXIT.done;
  const count = result.conflicts ?? 0;
  terminal.error({
    kind: 'conflict',
    message: `${plural(count, 'path conflicts', 'paths conflict')} with commit ${shortId(result.source ?? '')}: ${place} is as it was`,
    hint: "decide for one side with --prefer src or --prefer dst, for some paths with --prefer 'src:labels/**', or change the paths on a branch of your own and merge that",
  });
  return EXIT.conflict;
}

function textOf(
  result: BringResult,
  place: string,
  words: { readonly done: string; readonly would: string; readonly nothing: string },
): string {
  if (result.result === 'conflicts') return '';
  if (result.result === 'nothing')
    return `${words.nothing}: ${place} stays at ${shortId(result.onto)}`;
  const effect = effectText(result);
  if (result.dryRun) return `would ${words.would}: ${effect}`;
  const moved = result.fastForward === true ? ' (fast-forward, no new commit)' : '';
  return `${shortId(result.commit ?? '')} on ${place}: ${words.done}${moved}: ${effect}`;
}

function effectText(result: BringResult): string {
  const { before, after, added, changed, removed, settled = 0, skipped = 0 } = result;
  const parts: string[] = [];
  if (added === undefined) {
    const [was, is] = [before?.entries ?? 0, after?.entries ?? 0];
    parts.push(
      `more than 1,000 changes, from ${plural(was, 'entry', 'entries')} to ${plural(is, 'entry', 'entries')}`,
    );
  } else {
    parts.push(`${added} added, ${changed ?? 0} changed, ${removed ?? 0} removed`);
  }
  if (settled > 0) parts.push(`${plural(settled, 'conflict')} decided by preference`);
  if (skipped > 0) parts.push(`${plural(skipped, 'commit')} left out that changed nothing`);
  return parts.join('; ');
}
