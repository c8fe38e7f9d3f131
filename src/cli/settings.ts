import type { RefChangeRow, SettingsResult } from '../daemon/protocol/refs.js';
import type { Settings } from '../repo/settings.js';
import type { SettingsEdit } from '../repo/settings-edit.js';
import { ask, author } from './ask.js';
import type { CommandContext } from './command.js';
import { shortDate, shortId } from '../util/format.js';

/** Changes the settings and says what came of it. */
export async function changeSettings(
  context: CommandContext,
  repository: string,
  edit: SettingsEdit,
  { done, nothing }: { readonly done: string; readonly nothing: string },
): Promise<void> {
  const made = await ask(context, 'settings.change', { repository, edit, by: author() });
  await context.terminal.result(made, context.terminal.text(made.changed ? done : nothing));
}

/** A line of a history: number, time, from, to, who and why. */
export function printChange({ terminal }: CommandContext, row: RefChangeRow): Promise<void> | void {
  return terminal.row(row, () => {
    const place = (id: string | undefined): string =>
      id === undefined ? '-'.padEnd(12) : shortId(id);
    const sign = row.to === undefined ? 'to' : 'from';
    const renamed = row.renamed === undefined ? '' : ` ${sign} ${row.renamed}`;
    const moved = `${place(row.from)} → ${place(row.to)}`;
    const who = `${row.why}${renamed}, by ${row.by}`;
    return terminal.name(`${row.number}  ${shortDate(row.time)}  ${moved}  ${who}`);
  });
}

/** The settings for a person, below the other lines of `repo show`; none where there are none. */
export function settingsLines({ settings, since, by }: SettingsResult): string[] {
  const { protectedBranches, protectedTags, metadata } = settings as unknown as Settings;
  const lines = [
    ...protectedBranches.map((each) => `branch ${each} is protected: only merges change it`),
    ...protectedTags.map((each) => `tag ${each} is protected: it cannot be deleted`),
    ...Object.entries(metadata).flatMap(([pattern, { required, schema }]) => [
      ...(required.length === 0 ? [] : [`commits on ${pattern} must say ${required.join(', ')}`]),
      ...(schema === undefined ? [] : [`metadata of ${pattern} must satisfy a JSON Schema`]),
    ]),
  ];
  if (since !== undefined) lines.push(`since ${shortDate(since)} UTC, by ${by ?? 'unknown'}`);
  return lines.map((line, i) => `${(i === 0 ? 'settings' : '').padEnd(12)}${line}`);
}
