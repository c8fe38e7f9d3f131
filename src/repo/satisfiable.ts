import { COMMIT_METADATA_BYTES_MAX, METADATA_KEYS_MAX } from '../model/commit-format.js';
import type { Json, JsonObject } from '../util/canonical-json.js';
import { isJsonObject } from '../util/canonical-json.js';
import { printable } from '../util/printable.js';

/**
 * Finds rules that no commit could satisfy, so that nobody locks a branch by a slip. It knows the
 * contradictions that are made in practice and never calls a rule impossible that is not; rules
 * whose contradiction takes more thought than that are let through.
 *
 * Schemas that must hold all at once are *conjuncts*. A commit's metadata is an object of text.
 */
export type Schema = boolean | JsonObject;

/** Choices of anyOf and oneOf that are followed; more are taken to be satisfiable. */
const CHOICES_MAX = 1_000;

/**
 * Why no metadata can have all `required` keys and satisfy all `schemas`; undefined when that can
 * be, or cannot be told.
 */
export function whyImpossible(
  required: readonly string[],
  schemas: readonly Schema[],
): string | undefined {
  return impossibleObject(required, conjunctsOf(schemas), { left: CHOICES_MAX });
}

interface Budget {
  left: number;
}

function impossibleObject(
  given: readonly string[],
  conjuncts: readonly Schema[],
  budget: Budget,
): string | undefined {
  const objects = conjuncts.filter(isJsonObject);
  if (objects.length < conjuncts.length && conjuncts.includes(false)) {
    return 'the schema is false, and nothing satisfies that';
  }
  const required = [...new Set([...given, ...objects.flatMap((each) => texts(each['required']))])];
  for (const schema of objects) {
    const why = wrongType(schema, 'object', 'metadata is an object') ?? impossibleValues(schema);
    if (why !== undefined) return why;
  }
  return (
    impossibleCount(required, objects) ??
    first(required, (key) => impossibleKey(key, objects, budget)) ??
    impossibleChoice(conjuncts, budget, (joined) => impossibleObject(given, joined, budget))
  );
}

function impossibleCount(
  required: readonly string[],
  objects: readonly JsonObject[],
): string | undefined {
  if (required.length > METADATA_KEYS_MAX) {
    return `${required.length} keys are required, and a commit has at most ${METADATA_KEYS_MAX}`;
  }
  const min = Math.max(0, ...numbers(objects, 'minProperties'));
  const max = Math.min(METADATA_KEYS_MAX, ...numbers(objects, 'maxProperties'));
  if (min > max)
    return `at least ${min} keys are wanted (minProperties) and at most ${max} allowed`;
  if (required.length > max) {
    return `${required.length} keys are required and at most ${max} allowed (maxProperties)`;
  }
  for (const schema of objects) {
    if (schema['additionalProperties'] !== false || schema['patternProperties'] !== undefined) {
      continue;
    }
    const named = Object.values(properties(schema)).filter((each) => each !== false).length;
    if (named < min) {
      return `at least ${min} keys are wanted (minProperties) and only ${named} named (additionalProperties)`;
    }
  }
  return undefined;
}

function impossibleKey(
  key: string,
  objects: readonly JsonObject[],
  budget: Budget,
): string | undefined {
  const name = `the required key '${printable(key)}'`;
  const schemas: Schema[] = [];
  for (const schema of objects) {
    const names = schema['propertyNames'];
    if (isSchema(names) && conjunctsOf([names]).some((each) => refusesText(each, key))) {
      return `${name} is not one that propertyNames admits`;
    }
    const own = schemasOfKey(key, schema);
    if (own === undefined) return `${name} is forbidden by additionalProperties`;
    schemas.push(...own);
  }
  const why = impossibleText(conjunctsOf(schemas), budget);
  return why === undefined ? undefined : `${name} can have no value: ${why}`;
}

/** What the schema demands of the value of `key`; undefined when it forbids the key. */
function schemasOfKey(key: string, schema: JsonObject): readonly Schema[] | undefined {
  const named = Object.entries(properties(schema)).filter(([name]) => name === key);
  const patterns = Object.entries(objectOf(schema['patternProperties'])).filter(([pattern]) =>
    matches(pattern, key),
  );
  const found = [...named, ...patterns].map(([, each]) => each).filter(isSchema);
  if (found.length > 0) return found;
  const others = schema['additionalProperties'];
  if (others === false) return undefined;
  return isSchema(others) ? [others] : [];
}

/** Why no text satisfies all of them. */
function impossibleText(conjuncts: readonly Schema[], budget: Budget): string | undefined {
  if (conjuncts.includes(false)) return 'its schema is false';
  const schemas = conjuncts.filter(isJsonObject);
  for (const schema of schemas) {
    const why = wrongType(schema, 'string', 'metadata is text');
    if (why !== undefined) return why;
  }
  const min = Math.max(0, ...numbers(schemas, 'minLength'));
  const max = Math.min(COMMIT_METADATA_BYTES_MAX, ...numbers(schemas, 'maxLength'));
  if (min > max) return `at least ${min} characters are wanted and at most ${max} allowed`;
  const lists = schemas.flatMap((schema) => choicesOf(schema) ?? []);
  const isListed = schemas.some((schema) => choicesOf(schema) !== undefined);
  const isPossible = (value: Json): boolean =>
    typeof value === 'string' && !schemas.some((schema) => refusesText(schema, value));
  if (isListed && !lists.some(isPossible)) return 'no text of its enum or const is admitted';
  return impossibleChoice(conjuncts, budget, (joined) => impossibleText(joined, budget));
}

/** Whether the schema certainly refuses this text. */
function refusesText(schema: Schema, text: string): boolean {
  if (!isJsonObject(schema)) return !schema;
  const length = [...text].length;
  const choices = choicesOf(schema);
  const pattern = schema['pattern'];
  return (
    (choices !== undefined && !choices.includes(text)) ||
    (typeof pattern === 'string' && !matches(pattern, text)) ||
    numbers([schema], 'minLength').some((min) => length < min) ||
    numbers([schema], 'maxLength').some((max) => length > max)
  );
}

/** Where all choices of an anyOf or oneOf are impossible beside the rest: why the first one is. */
function impossibleChoice(
  conjuncts: readonly Schema[],
  budget: Budget,
  whyNot: (joined: readonly Schema[]) => string | undefined,
): string | undefined {
  for (const schema of conjuncts.filter(isJsonObject)) {
    for (const name of ['anyOf', 'oneOf'] as const) {
      const choices = schema[name];
      if (!Array.isArray(choices) || choices.length === 0) continue;
      const rest = { ...schema, [name]: [] };
      const others = conjuncts.map((each) => (each === schema ? rest : each));
      budget.left -= choices.length;
      if (budget.left < 0) return undefined;
      const reasons = choices.map((choice) => whyNot([...others, ...conjunctsOf([choice])]));
      if (!reasons.includes(undefined))
        return `no choice of its ${name} is possible: ${reasons[0]}`;
    }
  }
  return undefined;
}

/** The schemas with what their allOf joins to them; `not` of everything is `false`. */
function conjunctsOf(schemas: readonly Schema[]): Schema[] {
  return schemas.flatMap((schema): Schema[] => {
    if (!isJsonObject(schema)) return [schema];
    const not = schema['not'];
    if (not === true || (isJsonObject(not) && Object.keys(not).length === 0)) return [false];
    const all = schema['allOf'];
    return [schema, ...(Array.isArray(all) ? conjunctsOf(all.filter(isSchema)) : [])];
  });
}

function impossibleValues(schema: JsonObject): string | undefined {
  const isMetadata = (value: Json): boolean =>
    isJsonObject(value) && Object.values(value).every((each) => typeof each === 'string');
  const choices = choicesOf(schema);
  if (choices === undefined || choices.some(isMetadata)) return undefined;
  return 'no value of its enum or const is an object of text';
}

function wrongType(schema: JsonObject, wanted: string, why: string): string | undefined {
  const types = typesOf(schema);
  const not = schema['not'];
  if (isJsonObject(not) && Object.keys(not).join() === 'type' && typesOf(not).includes(wanted)) {
    return `the schema excludes the type ${wanted}, and ${why}`;
  }
  if (types.length === 0 || types.includes(wanted)) return undefined;
  return `the schema wants the type ${types.join(' or ')}, and ${why}`;
}

function typesOf(schema: JsonObject): string[] {
  const type = schema['type'];
  return typeof type === 'string' ? [type] : texts(type);
}

/** The only values that the schema admits, where it lists them. */
function choicesOf(schema: JsonObject): readonly Json[] | undefined {
  const listed = schema['enum'];
  const only = schema['const'];
  if (only === undefined) return Array.isArray(listed) ? listed : undefined;
  const isAmong = !Array.isArray(listed) || isJsonObject(only) || listed.includes(only);
  return isAmong ? [only] : [];
}

function properties(schema: JsonObject): JsonObject {
  return objectOf(schema['properties']);
}

function objectOf(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function numbers(schemas: readonly JsonObject[], name: string): number[] {
  return schemas.map((schema) => schema[name]).filter((value) => typeof value === 'number');
}

function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function isSchema(value: Json | undefined): value is Schema {
  return typeof value === 'boolean' || isJsonObject(value);
}

function matches(pattern: string, text: string): boolean {
  return new RegExp(pattern, 'u').test(text);
}

function first<T>(items: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
