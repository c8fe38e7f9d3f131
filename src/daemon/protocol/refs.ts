import type { SettingsEdit } from '../../repo/settings-edit.js';
import type { JsonObject } from '../../util/canonical-json.js';
import type { Nothing, Operation, Page } from './terms.js';

/** The record of refs, and the settings that guard them. */
export interface RefOperations {
  'branch.history': Operation<RefHistoryArguments, RefChangeRow, Nothing>;
  'tag.history': Operation<RefHistoryArguments, RefChangeRow, Nothing>;
  'settings.show': Operation<SettingsArguments, never, SettingsResult>;
  'settings.history': Operation<{ repository: string } & Page, RefChangeRow, Nothing>;
  'settings.change': Operation<ChangeSettings, never, ChangedSettings>;
}

/** `after` is the number of a change: what was recorded before it follows. */
export interface RefHistoryArguments extends Page {
  readonly repository: string;
  readonly name: string;
}

/** One change of a ref, or of the settings. */
export interface RefChangeRow {
  readonly number: number;
  readonly time: string;
  readonly by: string;
  readonly why: string;
  /** Where it was; absent for one that was made. */
  readonly from?: string;
  /** Where it went; absent for one that was deleted. */
  readonly to?: string;
  /** The other name, where the change is one side of a renaming. */
  readonly renamed?: string;
}

export interface SettingsArguments {
  readonly repository: string;
  /** As model/time.ts has it; absent for the settings in force. */
  readonly at?: string;
}

export interface SettingsResult {
  readonly settings: JsonObject;
  /** Absent where there were none yet. */
  readonly id?: string;
  /** Since when the settings asked for are, or were, in force, and by whom. */
  readonly since?: string;
  readonly by?: string;
}

export interface ChangeSettings {
  readonly repository: string;
  readonly edit: SettingsEdit;
  readonly by: string;
}

export interface ChangedSettings {
  readonly settings: JsonObject;
  readonly id?: string;
  readonly changed: boolean;
}
