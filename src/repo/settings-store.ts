import { LRUCache } from 'lru-cache';
import type { SettingsId } from '../model/ids.js';
import type { ObjectStore } from '../store/object-store.js';
import type { RecordedChange, RefStore } from '../store/ref-store.js';
import { TarnError } from '../util/errors.js';
import { settingsKey } from './layout.js';
import { putNamed } from './objects.js';
import type { Settings } from './settings.js';
import {
  checkSettings,
  decodeSettings,
  encodeSettings,
  NO_SETTINGS,
  SETTINGS_BYTES_MAX,
  settingsIdOf,
} from './settings.js';

/** Settings as they were at some time. */
export interface SettingsVersion {
  readonly settings: Settings;
  /** Absent where none were ever made. */
  readonly id?: SettingsId;
}

export interface SettingsChange {
  readonly by: string;
  /** For the history. */
  readonly why: string;
  /** The settings wanted in place of `current`; asked again when others changed them. */
  readonly change: (current: Settings) => Settings;
}

/** No user's name of a branch or tag begins so. */
const NAME = '@settings';
const ATTEMPTS_MAX = 50;
const CACHED_MAX = 16;

/** The settings of a repository, each version an object, and a record of who made it and when. */
export class SettingsStore {
  readonly #objects: ObjectStore;
  readonly #refs: RefStore;
  readonly #cache = new LRUCache<SettingsId, SettingsVersion>({ max: CACHED_MAX });
  #known: SettingsVersion | undefined;

  constructor(objects: ObjectStore, refs: RefStore) {
    this.#objects = objects;
    this.#refs = refs;
  }

  /** Reads one ref, and the settings where they changed. @throws TarnError corrupt, io, aborted */
  async current(signal?: AbortSignal): Promise<SettingsVersion> {
    const id = await this.#refs.get('settings', NAME, signal);
    this.#known = id === undefined ? NONE : await this.read(id, signal);
    return this.#known;
  }

  get isKnown(): boolean {
    return this.#known !== undefined;
  }

  /** As they were when they were last looked at; reads them only where they never were. */
  async known(signal?: AbortSignal): Promise<SettingsVersion> {
    return this.#known ?? this.current(signal);
  }

  /** @throws TarnError not-found, corrupt (names them), unsupported, io, aborted */
  async read(id: SettingsId, signal?: AbortSignal): Promise<SettingsVersion> {
    const known = this.#cache.get(id);
    if (known !== undefined) return known;
    const range = { offset: 0, length: SETTINGS_BYTES_MAX + 1 };
    const options = signal === undefined ? { range } : { range, signal };
    const bytes = await this.#objects.get(settingsKey(id), options);
    const version = { settings: decodeSettings(id, bytes), id };
    this.#cache.set(id, version);
    return version;
  }

  /** Those in force at that time; a repository begins with none. */
  async at(atMs: number, signal?: AbortSignal): Promise<SettingsVersion> {
    const moment = await this.#refs.at('settings', NAME, atMs, signal);
    return moment.kind === 'at' ? this.read(moment.target, signal) : NONE;
  }

  /** Newest first; only versions before the change numbered `before`. */
  history(
    options: { before?: number; signal?: AbortSignal } = {},
  ): AsyncIterable<RecordedChange<'settings'>> {
    return this.#refs.history('settings', NAME, options);
  }

  /**
   * Changes them, durably; a change that changes nothing is not recorded.
   * @throws TarnError invalid when no commit could satisfy them; conflict when others change them
   *   all the time; no-space, io, aborted
   */
  async change(
    { by, why, change }: SettingsChange,
    signal?: AbortSignal,
  ): Promise<SettingsVersion & { readonly isChanged: boolean }> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const { settings, id: expected } = await this.current(signal);
      const wanted = change(settings);
      const bytes = encodeSettings(wanted);
      if (bytes.equals(encodeSettings(settings))) {
        return { settings, ...(expected === undefined ? {} : { id: expected }), isChanged: false };
      }
      await checkSettings(wanted);
      const id = settingsIdOf(bytes);
      await putNamed(this.#objects, settingsKey(id), bytes, signal);
      const moved = { kind: 'settings', name: NAME, expected, next: id, by, why } as const;
      const outcome = await this.#refs.compareAndSwap({ ...moved, atMs: Date.now() }, signal);
      if (outcome === 'moved') continue;
      this.#known = { settings: wanted, id };
      return { settings: wanted, id, isChanged: true };
    }
    throw new TarnError('conflict', 'the settings were changed by others all the time', {
      hint: "look at them with 'tarn repo settings' before you change them again",
    });
  }
}

const NONE: SettingsVersion = { settings: NO_SETTINGS };
