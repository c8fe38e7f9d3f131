import { parseTime } from '../../model/time.js';
import { pastMs } from '../../repo/resolve.js';
import type { Repository } from '../../repo/repository.js';
import type { SettingsEdit } from '../../repo/settings-edit.js';
import { NO_SETTINGS, toJson } from '../../repo/settings.js';
import type { Schema } from '../../repo/satisfiable.js';
import { TarnError } from '../../util/errors.js';
import type { Reader } from '../arguments.js';
import { count, fields, flag, listOf, oneOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import type { SettingsResult } from '../protocol/refs.js';
import { changeRows } from './refs.js';

const readSet = fields({ kind: oneOf('set'), text });
const readProtect = fields({
  kind: oneOf('protect'),
  what: oneOf('branch', 'tag'),
  pattern: text,
  isOff: flag,
});

const schemaOf: Reader<Schema> = (value, name) => {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Schema;
  throw new TarnError('invalid', `the request's argument '${name}' must be a JSON Schema`);
};
const readRequire = fields(
  { kind: oneOf('require'), pattern: text, required: listOf(text) },
  { schema: schemaOf },
);

const editOf: Reader<SettingsEdit> = (value) => {
  const { kind } = (value ?? {}) as { kind?: unknown };
  if (kind === 'set') return readSet(value);
  return kind === 'protect' ? readProtect(value) : readRequire(value);
};

export const settingsShow: OperationHandler<'settings.show'> = {
  read: fields({ repository: text }, { at: text }),
  run: async ({ repositories }, { repository, at }, _output, signal) => {
    const atMs = at === undefined ? Infinity : pastMs(parseTime(at));
    return settingsAt(await repositories.open(repository), atMs, signal);
  },
};

export const settingsHistory: OperationHandler<'settings.history'> = {
  read: fields({ repository: text }, { limit: count, after: text }),
  run: async ({ repositories }, { repository, ...page }, output, signal) => {
    const { settings } = await repositories.open(repository);
    return changeRows((options) => settings.history(options), page, output, signal);
  },
};

export const settingsChange: OperationHandler<'settings.change'> = {
  read: fields({ repository: text, edit: editOf, by: text }),
  run: async ({ threads, log }, input, _output, signal) => {
    const { settings, id, isChanged } = await threads.run('settings', input, { signal });
    const { repository, by, edit } = input;
    if (isChanged) log.info('settings changed', { repository, by, edit: edit.kind, settings: id });
    return { settings: toJson(settings), ...(id === undefined ? {} : { id }), changed: isChanged };
  },
};

/** The settings in force at that time; Infinity for now. */
export async function settingsAt(
  { settings: store }: Repository,
  atMs: number,
  signal: AbortSignal,
): Promise<SettingsResult> {
  for await (const { atMs: sinceMs, next, by } of store.history({ signal })) {
    if (sinceMs > atMs || next === undefined) continue;
    const { settings } = await store.read(next, signal);
    return { settings: toJson(settings), id: next, since: new Date(sinceMs).toISOString(), by };
  }
  return { settings: toJson(NO_SETTINGS) };
}
