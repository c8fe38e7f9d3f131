import { matchesName } from '../model/name-pattern.js';
import { isJsonObject } from '../util/canonical-json.js';
import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import type { Metadata, SchemaCheck } from './metadata-rule.js';
import { compileSchema } from './metadata-rule.js';
import type { Schema } from './satisfiable.js';
import type { Settings } from './settings.js';
import { rulesOf } from './settings.js';
import type { SettingsStore } from './settings-store.js';

export type PublicationKind = 'commit' | 'merge' | 'revert' | 'cherry-pick';

/**
 * What a repository's settings forbid. Every way to change a ref asks here, below all doors.
 *
 * - A protected branch takes merges, and reverts since they undo one: no commit, no cherry-pick, no
 *   reset, no deletion, no other name.
 * - A protected tag is not deleted. Nothing moves a tag, protected or not.
 * - What is published to a branch satisfies all metadata rules of that branch. A fast-forward is
 *   judged by the commit that the branch moves to.
 *
 * Making a branch or tag is free: it takes nothing away.
 */
export class Guards {
  readonly #repository: string;
  readonly #settings: SettingsStore;
  readonly #checks = new WeakMap<object, Promise<SchemaCheck>>();

  constructor(repository: string, settings: SettingsStore) {
    this.#repository = repository;
    this.#settings = settings;
  }

  /** Whether the rules were ever looked at. */
  get areKnown(): boolean {
    return this.#settings.isKnown;
  }

  /**
   * Whether it is worth while to prepare this, by the rules that were last seen: those in force are
   * asked only where these refuse. What is published is judged by checkPublication.
   * @throws TarnError as checkPublication
   */
  async checkAhead(
    branch: string,
    kind: PublicationKind,
    metadata: Metadata | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const { settings } = await this.#settings.known(signal);
    try {
      await this.#judge(settings, branch, kind, metadata);
    } catch (error) {
      if (!(error instanceof TarnError) || error.kind !== 'denied') throw error;
      await this.checkPublication(branch, kind, metadata, signal);
    }
  }

  /**
   * Whether this may be published, as far as is known: without `metadata` only the kind is judged.
   * @throws TarnError denied, naming the rule and what to do instead
   */
  async checkPublication(
    branch: string,
    kind: PublicationKind,
    metadata: Metadata | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const { settings } = await this.#settings.current(signal);
    await this.#judge(settings, branch, kind, metadata);
  }

  async #judge(
    settings: Settings,
    branch: string,
    kind: PublicationKind,
    metadata: Metadata | undefined,
  ): Promise<void> {
    const isFree = kind === 'merge' || kind === 'revert';
    if (!isFree) this.#checkUnprotected(settings, branch, `takes merges, no ${kind}`, HOW_TO_MERGE);
    if (metadata !== undefined) await this.#checkMetadata(settings, branch, metadata);
  }

  /** @throws TarnError denied */
  async checkBranch(
    branch: string,
    change: 'deleted' | 'renamed' | 'reset',
    signal?: AbortSignal,
  ): Promise<void> {
    const { settings } = await this.#settings.current(signal);
    this.#checkUnprotected(settings, branch, `cannot be ${change}`);
  }

  /** @throws TarnError denied */
  async checkTagDeletion(tag: string, signal?: AbortSignal): Promise<void> {
    const { settings } = await this.#settings.current(signal);
    const rule = settings.protectedTags.find((pattern) => matchesName(pattern, tag));
    if (rule === undefined) return;
    const repository = this.#repository;
    throw new TarnError(
      'denied',
      `tag '${tag}' of '${repository}' is protected${byRule(rule, tag)} and cannot be deleted`,
      { hint: `take the protection off first: 'tarn tag protect ${repository} "${rule}" --off'` },
    );
  }

  #checkUnprotected(settings: Settings, branch: string, refusal: string, hint?: string): void {
    const rule = settings.protectedBranches.find((pattern) => matchesName(pattern, branch));
    if (rule === undefined) return;
    const repository = this.#repository;
    throw new TarnError(
      'denied',
      `branch '${branch}' of '${repository}' is protected${byRule(rule, branch)} and ${refusal}`,
      {
        hint:
          hint?.replaceAll('BRANCH', branch).replaceAll('REPO', repository) ??
          `take the protection off first: 'tarn branch protect "${repository}/${rule}" --off'`,
      },
    );
  }

  async #checkMetadata(settings: Settings, branch: string, metadata: Metadata): Promise<void> {
    const rules = rulesOf(settings, branch);
    const required = [...new Set(rules.flatMap((rule) => rule.required))].sort();
    const missing = required.filter((key) => !Object.hasOwn(metadata, key));
    if (missing.length > 0) throw this.#incomplete(branch, required, missing);
    for (const { schema } of rules) {
      if (schema === undefined) continue;
      const [fault, ...more] = (await this.#check(schema))(metadata);
      if (fault !== undefined) throw this.#unfit(branch, [fault, ...more]);
    }
  }

  #check(schema: Schema): Promise<SchemaCheck> {
    if (!isJsonObject(schema)) return compileSchema(schema);
    const check = this.#checks.get(schema) ?? compileSchema(schema);
    this.#checks.set(schema, check);
    return check;
  }

  #incomplete(branch: string, required: readonly string[], missing: readonly string[]): TarnError {
    const options = missing.map((key) => `--meta ${printable(key)}=…`).join(' ');
    return new TarnError(
      'denied',
      `a commit on branch '${branch}' of '${this.#repository}' must say ${list(required)}: ${list(missing)} ${missing.length === 1 ? 'is' : 'are'} missing`,
      { hint: `nothing is lost; do it again with ${options}` },
    );
  }

  #unfit(branch: string, faults: readonly string[]): TarnError {
    return new TarnError(
      'denied',
      `the metadata do not fit branch '${branch}' of '${this.#repository}': ${faults.join('; ')}`,
      {
        hint: `nothing is lost; do it again with other --meta. 'tarn repo settings ${this.#repository}' prints the schema`,
      },
    );
  }
}

const HOW_TO_MERGE =
  "work on a branch of its own ('tarn branch create REPO/incident-2025-06-14-8421-glare --from BRANCH') and merge that ('tarn merge REPO/incident-2025-06-14-8421-glare BRANCH'); what is staged on BRANCH stays staged";

function byRule(rule: string, name: string): string {
  return rule === name ? '' : ` (by '${rule}')`;
}

function list(keys: readonly string[]): string {
  const names = keys.map(printable);
  const last = names.pop() ?? '';
  return names.length === 0 ? last : `${names.join(', ')} and ${last}`;
}
