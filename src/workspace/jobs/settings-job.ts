import type { SettingsId } from '../../model/ids.js';
import type { Settings } from '../../repo/settings.js';
import type { SettingsEdit } from '../../repo/settings-edit.js';
import { applyEdit, nameOfEdit } from '../../repo/settings-edit.js';
import type { JobRun, JobTarget } from './job.js';

export interface SettingsInput extends JobTarget {
  readonly edit: SettingsEdit;
  readonly by: string;
}

export interface SettingsMade {
  readonly settings: Settings;
  readonly id?: SettingsId;
  readonly isChanged: boolean;
}

/** Changes the settings: on a thread, since judging a schema may load and compile it. */
export const run: JobRun<SettingsInput, never, SettingsMade> = (
  { repository },
  { edit, by },
  { signal },
) =>
  repository.settings.change(
    { by, why: nameOfEdit(edit), change: (current) => applyEdit(current, edit) },
    signal,
  );
