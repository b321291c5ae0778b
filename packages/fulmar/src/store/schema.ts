import { FulmarTypeError } from "../base/errors.js";
import { isList, isRevoked, textOf } from "../base/options.js";
import { describeKey } from "../keys/describe.js";
import type { Key } from "./types.js";

/** Issues that an error carries; more are counted only. */
const ISSUES_MAX = 100;
/** Issues that its message names. */
const ISSUES_SHOWN = 3;

/**
 * A validator of any library that follows the Standard Schema interface, version 1 (Zod, Valibot, ArkType and
 * others do). `In` is what may be given, `Out` what validation makes of it.
 */
export interface StandardSchema<In = unknown, Out = In> {
  readonly "~standard": {
    readonly version: 1;
    /** The library, for messages. */
    readonly vendor: string;
    /** Judges a value. Never asynchronous for a namespace. */
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    /** For the compiler only: never looked at. */
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

/** What a schema says about a value: without issues, what becomes of it. */
export type SchemaResult<Out = unknown> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** Something that a schema finds wrong. */
export interface SchemaIssue {
  readonly message: string;
  /** Where: members and indexes from the outside in, each as it is or as `key` of an object. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What may be written where a schema rules. */
export type SchemaInput<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["input"];

/** What is stored, and read, where a schema rules. */
export type SchemaOutput<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["output"];

/** Turns what is written into what is stored. */
export type Validator<In, Out> = (value: In, key: Key) => Out;

/**
 * Validates values for a namespace. Its results throw SCHEMA_MISMATCH with `issues`, `namespace` and `key` in
 * the details, and SCHEMA_ASYNC. @throws FulmarTypeError `INVALID_ARGUMENT` for what is no schema
 */
export function validatorOf<In, Out>(schema: StandardSchema<In, Out>, namespace: string): Validator<In, Out> {
  const standard = standardOf(schema);
  return (value, key) => {
    const result = standard.validate(value);
    if (isPromiseLike(result)) {
      // Nobody waits for it: whatever comes of it is of no more interest.
      result.then(nothing, nothing);
      const whose = `the schema of namespace ${JSON.stringify(namespace)}`;
      const message = `${whose} validates asynchronously: use one that does not`;
      throw new FulmarTypeError("SCHEMA_ASYNC", message, { namespace });
    }
    if (typeof result !== "object" || result === null || isRevoked(result)) throw noResult(namespace);
    if (result.issues === undefined) return result.value;
    throw mismatch(namespace, key, isList(result.issues) ? result.issues : []);
  };
}

function noResult(namespace: string): FulmarTypeError {
  const message = `the schema of namespace ${JSON.stringify(namespace)} returned neither a value nor issues`;
  return new FulmarTypeError("INVALID_ARGUMENT", message);
}

/** The error for a value that a schema refuses. */
export function mismatch(namespace: string, key: Key, found: readonly SchemaIssue[]): FulmarTypeError {
  // By any schema, which may not keep to the types.
  const given: readonly (Partial<SchemaIssue> | null)[] = found.slice(0, ISSUES_MAX);
  const issues = given.map((issue) =>
    isRevoked(issue)
      ? { message: textOf(issue), path: [] }
      : { message: textOf(issue?.message), path: plainPath(issue?.path) },
  );
  const shown = issues.slice(0, ISSUES_SHOWN).map(describeIssue).join("; ");
  const rest = found.length > ISSUES_SHOWN ? `; and ${found.length - ISSUES_SHOWN} more` : "";
  const where = `the value of ${describeKey(key)} in namespace ${JSON.stringify(namespace)}`;
  const message = `${where} is not what the schema asks for: ${shown}${rest}`;
  return new FulmarTypeError("SCHEMA_MISMATCH", message, { namespace, key, issues });
}

function standardOf<In, Out>(schema: StandardSchema<In, Out>): StandardSchema<In, Out>["~standard"] {
  const given: unknown = schema;
  const isHolder =
    !isRevoked(given) && ((typeof given === "object" && given !== null) || typeof given === "function");
  const standard = isHolder ? (given as Partial<StandardSchema<In, Out>>)["~standard"] : undefined;
  if (standard?.version === 1 && typeof standard.validate === "function") return standard;
  const message =
    "schema must follow the Standard Schema interface, version 1, as validators of Zod or Valibot do";
  throw new FulmarTypeError("INVALID_ARGUMENT", message);
}

function plainPath(path: SchemaIssue["path"]): PropertyKey[] {
  if (!isList(path)) return [];
  return path.map((part: { key: PropertyKey } | PropertyKey | null) => {
    if (isRevoked(part)) return "";
    return typeof part === "object" ? (part?.key ?? "") : part;
  });
}

function describeIssue({
  message,
  path,
}: {
  readonly message: string;
  readonly path: PropertyKey[];
}): string {
  return path.length === 0 ? message : `${path.map(textOf).join(".")}: ${message}`;
}

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  if (typeof value !== "object" || value === null || isRevoked(value)) return false;
  return "then" in value && typeof value.then === "function";
}

function nothing(): void {}
