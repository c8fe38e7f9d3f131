import { parseBranchPattern, parseTagPattern } from '../model/name-pattern.js';
import type { Schema } from './satisfiable.js';
import type { Settings } from './settings.js';
import { parseRequired, parseSettings } from './settings.js';

/** One thing that a user changes in the settings. */
export type SettingsEdit =
  /** All of them, by the JSON in `text`. */
  | { readonly kind: 'set'; readonly text: string }
  | {
      readonly kind: 'protect';
      readonly what: 'branch' | 'tag';
      readonly pattern: string;
      /** Takes the protection off. */
      readonly isOff: boolean;
    }
  /** The rule of metadata becomes exactly this; without keys and schema there is none. */
  | {
      readonly kind: 'require';
      readonly pattern: string;
      readonly required: readonly string[];
      readonly schema?: Schema;
    };

/** What the edit makes of the settings. @throws TarnError invalid, unsupported */
export function applyEdit(settings: Settings, edit: SettingsEdit): Settings {
  switch (edit.kind) {
    case 'set':
      return parseSettings(edit.text);
    case 'protect':
      return protect(settings, edit);
    case 'require':
      return requireKeys(settings, edit);
  }
}

/** What the edit is called in the history of the settings. */
export function nameOfEdit(edit: SettingsEdit): string {
  switch (edit.kind) {
    case 'set':
      return 'repo settings';
    case 'protect':
      return `${edit.what} protect ${edit.pattern}${edit.isOff ? ' off' : ''}`;
    case 'require':
      return `repo require ${edit.pattern}`;
  }
}

function protect(settings: Settings, edit: SettingsEdit & { kind: 'protect' }): Settings {
  const { what, isOff } = edit;
  const pattern = (what === 'branch' ? parseBranchPattern : parseTagPattern)(edit.pattern);
  const name = what === 'branch' ? 'protectedBranches' : 'protectedTags';
  const others = settings[name].filter((each) => each !== pattern);
  return { ...settings, [name]: isOff ? others : [...others, pattern].sort() };
}

function requireKeys(settings: Settings, edit: SettingsEdit & { kind: 'require' }): Settings {
  const { schema } = edit;
  const pattern = parseBranchPattern(edit.pattern);
  const required = parseRequired(edit.required);
  const others = Object.entries(settings.metadata).filter(([each]) => each !== pattern);
  const isNone = required.length === 0 && schema === undefined;
  const rule = { required, ...(schema === undefined ? {} : { schema }) };
  return {
    ...settings,
    metadata: Object.fromEntries(isNone ? others : [...others, [pattern, rule]]),
  };
}
