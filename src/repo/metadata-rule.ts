import type { ErrorObject } from 'ajv';
import { COMMIT_METADATA_BYTES_MAX } from '../model/commit-format.js';
import { isJsonObject } from '../util/canonical-json.js';
import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import type { Schema } from './satisfiable.js';
import { whyImpossible } from './satisfiable.js';

/** What the commits of a branch must say of themselves. */
export interface MetadataRule {
  /** Keys that their metadata must have, in order, none twice. */
  readonly required: readonly string[];
  /** JSON Schema of the metadata as an object of text. */
  readonly schema?: Schema;
}

export type Metadata = Readonly<Record<string, string>>;
/** What is wrong with the metadata, a line for each fault; empty when they satisfy the schema. */
export type SchemaCheck = (metadata: Metadata) => string[];

const FAULTS_MAX = 10;

/**
 * The validator is loaded only where there is a schema.
 * @throws TarnError invalid when it is no JSON Schema, or has a keyword that is not known
 */
export async function compileSchema(schema: Schema): Promise<SchemaCheck> {
  const dialect = isJsonObject(schema) ? schema['$schema'] : undefined;
  const is2020 = typeof dialect === 'string' && dialect.includes('2020-12');
  // Strict of keywords and formats; but a schema need not give types, nor name what it requires.
  const lenient = { strictTypes: false, strictRequired: false } as const;
  const options = { strict: true, ...lenient, allErrors: true, logger: false } as const;
  const ajv = is2020
    ? new (await import('ajv/dist/2020.js')).Ajv2020(options)
    : new (await import('ajv')).Ajv(options);
  if (isJsonObject(schema) && schema['$async'] !== undefined) throw badSchema('it is asynchronous');
  try {
    const validate = ajv.compile<unknown>(schema);
    return (metadata) => {
      if (validate(metadata)) return [];
      return (validate.errors ?? []).slice(0, FAULTS_MAX).map(explain);
    };
  } catch (error) {
    throw badSchema(error instanceof Error ? error.message : String(error));
  }
}

function explain({ instancePath, message = 'is wrong', params, keyword }: ErrorObject): string {
  const key = instancePath.slice(1).replaceAll('~1', '/').replaceAll('~0', '~');
  const what = key === '' ? 'the metadata' : `'${printable(key)}'`;
  const { additionalProperty, allowedValues } = params as Record<string, unknown>;
  if (keyword === 'additionalProperties') {
    return `the key '${printable(String(additionalProperty))}' is not allowed`;
  }
  const values = Array.isArray(allowedValues) ? `: ${allowedValues.join(', ')}` : '';
  return `${what} ${message}${values}`;
}

function badSchema(why: string): TarnError {
  return new TarnError('invalid', `the schema of the metadata cannot be used: ${printable(why)}`, {
    hint: 'it is a JSON Schema, draft 7 or (with that $schema) 2020-12, of an object of text; keywords that are not known are refused',
  });
}

/**
 * @param rules all that hold for one branch
 * @throws TarnError invalid when no commit could satisfy all of them
 */
export function checkPossible(pattern: string, rules: readonly MetadataRule[]): void {
  const required = rules.flatMap((rule) => rule.required);
  const schemas = rules.flatMap(({ schema }) => (schema === undefined ? [] : [schema]));
  const bytes = required.reduce((sum, key) => sum + Buffer.byteLength(key), 0);
  const why =
    bytes > COMMIT_METADATA_BYTES_MAX
      ? `the required keys have ${bytes} bytes, and metadata at most ${COMMIT_METADATA_BYTES_MAX}`
      : whyImpossible(required, schemas);
  if (why === undefined) return;
  throw new TarnError('invalid', `no commit could satisfy the rules of '${pattern}': ${why}`, {
    hint: 'nothing was changed',
  });
}
