import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { parseKey } from '../model/path.js';
import type { Repository } from '../repo/repository.js';
import type { View } from '../repo/view.js';
import { TarnError } from '../util/errors.js';
import type { Context } from './context.js';
import type { Place } from './protocol/terms.js';
import { resolveRef } from './resolve.js';

/** An opened place: the view of its ref, and its path as a key. */
export interface Moment {
  readonly repository: Repository;
  readonly view: View;
  readonly key: Key;
}

/**
 * A bare branch is seen with what is staged on it, everything else as committed.
 * @throws TarnError not-found, ambiguous, invalid, corrupt, io, aborted
 */
export async function openMoment(
  context: Context,
  place: Place,
  signal: AbortSignal,
): Promise<Moment> {
  const key = parseKey(place.path);
  const repository = await context.repositories.open(place.repository);
  const { commitId, branch } = await resolveRef(context, place.repository, place.ref, signal);
  if (branch === undefined) {
    return { repository, view: await repository.commitView(place.ref, commitId, signal), key };
  }
  await context.workspaces.stage(place.repository, branch, { takesOpen: false, signal });
  const workspace = await context.repositories.workspace(place.repository, branch);
  return { repository, view: await workspace.view(signal), key };
}

/** The place as messages name it. */
export function placeName({ repository, ref, path }: Place): string {
  return path === '' ? `${repository}/${ref}` : `${repository}/${ref}/${path}`;
}

export function nothingThere(place: Place): TarnError {
  return new TarnError('not-found', `there is nothing at '${placeName(place)}'`, {
    hint: `see what there is with 'tarn ls ${place.repository}/${place.ref}'`,
  });
}

/** The file or link of this very key; undefined for a folder, also for one that has a marker. */
export async function entryAt(
  view: View,
  key: Key,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  const entry = key === '' ? undefined : await view.get(key, signal);
  return entry?.kind === 'file' && entry.size === 0 && key.endsWith('/') ? undefined : entry;
}

/** `raw/run` to `raw/run/`; the root stays empty. */
export function directoryPrefix(key: Key): Key {
  return key === '' || key.endsWith('/') ? key : (`${key}/` as Key);
}
