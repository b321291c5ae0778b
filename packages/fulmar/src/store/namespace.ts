import { FulmarRangeError } from "../base/errors.js";
import { DEADLINE_MS_MAX, type Limits } from "../base/limits.js";
import { checkOptions, integerOption } from "../base/options.js";
import { type Codec, type CodecNameFor, resolveCodec } from "../codec/codec.js";
import { KeySpace } from "../keys/space.js";
import type { StoreCore } from "./core.js";
import { type SchemaOutput, type StandardSchema, type Validator, validatorOf } from "./schema.js";
import type { Scope } from "./scope.js";
import { guardedCodec } from "./user-code.js";
import { ChangeMaker } from "./watch/changes.js";
import { Writable } from "./writable.js";
import { WriteEncoder } from "./write-encoder.js";

/** What is special about a namespace; every member has a default. */
export interface NamespaceOptions<Out = unknown> {
  /** How values become bytes; the store's own codec unless set. */
  readonly codec?: Codec<Out> | CodecNameFor<Out> | undefined;
  /**
   * How long entries live, in ms, when a write gives neither `ttl` nor `expiresAt`; for ever unless set. To write an
   * entry that never expires in spite of it, give `ttl: Infinity`.
   */
  readonly ttl?: number | undefined;
}

/** What is special about a namespace whose values are validated. */
export interface SchemaOptions<S extends StandardSchema> extends NamespaceOptions<SchemaOutput<S>> {
  /**
   * Validates each value that is written; what it returns is stored. What is read is not validated again. Any
   * validator that follows the Standard Schema interface will do, as long as it is not asynchronous and writes
   * nothing to the store.
   *
   * What it returns has to be something that the codec gives back as it was: with `json`, which most have, a `Date`
   * comes back as a string, whatever its type says. Give such a schema a codec of its own.
   */
  readonly schema: S;
}

/**
 * A part of a store with keys of its own, and all that a store can do with them. `In` is what is written, `Out`
 * what is read: with a schema they are its input and output. Get one from {@link Store.namespace}.
 *
 * Writes reject, or for transactions throw, as a store's do, and with SCHEMA_MISMATCH (its `details` hold the
 * `issues`) or SCHEMA_ASYNC. An increment validates the sum, which the schema must leave as it is.
 *
 * @example
 * ```ts
 * import { open, type StandardSchema } from "fulmar";
 *
 * // Zod, Valibot, ArkType and others make such validators.
 * const percentage: StandardSchema<number> = {
 *   "~standard": {
 *     version: 1,
 *     vendor: "example",
 *     validate: (value) =>
 *       typeof value === "number" && value >= 0 && value <= 100
 *         ? { value }
 *         : { issues: [{ message: "must be a percentage" }] },
 *   },
 * };
 * await using db = await open();
 * const progress = db.namespace("progress", { schema: percentage });
 * await progress.set("job", 99);
 * await progress.set("job", 101).catch((error) => console.log(error.code, error.details.issues));
 * console.log(progress.get("job")); // 99
 * ```
 */
export class Namespace<In = unknown, Out = In> extends Writable<In, Out> {
  readonly name: string;

  /** @internal Namespaces come from stores. */
  constructor(name: string, scope: Scope<In, Out>) {
    super(scope);
    this.name = name;
  }
}

/** What a store works on: the keys that are in no namespace. */
export function storeScope<V>(core: StoreCore<V>): Scope<V> {
  const { reader, codec, limits, kept, userCode } = core;
  const { space } = reader;
  const nowMs = (): number => reader.nowMs();
  const encoder = new WriteEncoder<V>({ space, codec, limits, kept, userCode, nowMs });
  return { core: core as StoreCore<unknown>, reader, encoder, changes: new ChangeMaker(reader) };
}

/** What the options of a namespace say, checked. */
interface NamespaceParts<In, Out> {
  readonly space: KeySpace;
  /** Undefined for the store's own. */
  readonly codec: Codec<Out> | undefined;
  readonly validate: Validator<In, Out> | undefined;
  readonly ttlMs: number | undefined;
}

/** Checks name and options of a namespace. @throws INVALID_ARGUMENT, UNKNOWN_OPTION, KEY_TOO_LARGE */
export function namespaceParts<In, Out>(
  name: string,
  options: NamespaceOptions<Out> & { readonly schema?: StandardSchema<In, Out> },
  limits: Limits,
): NamespaceParts<In, Out> {
  checkOptions(options, ["schema", "codec", "ttl"], "namespace");
  const { schema, ttl } = options;
  // Not undefined, which would stand for the store itself.
  const space = new KeySpace(name ?? "");
  if (space.prefix.length > limits.keyBytesMax) {
    const message = `the name takes ${space.prefix.length} bytes of each key; the limit is ${limits.keyBytesMax}`;
    throw new FulmarRangeError("KEY_TOO_LARGE", message);
  }
  const codec = options.codec === undefined ? undefined : resolveCodec(options.codec);
  const validate = schema === undefined ? undefined : validatorOf(schema, name);
  const ttlMs = ttl === undefined ? undefined : integerOption(ttl, "ttl", 0, 1, DEADLINE_MS_MAX);
  return { space, codec, validate, ttlMs };
}

/** What a namespace works on. @throws as {@link namespaceParts} */
export function namespaceScope<In, Out>(
  core: StoreCore<unknown>,
  name: string,
  options: NamespaceOptions<Out> & { readonly schema?: StandardSchema<In, Out> },
): Scope<In, Out> {
  const { limits, kept, userCode } = core;
  const { space, codec: own, validate, ttlMs } = namespaceParts(name, options, limits);
  const codec = own === undefined ? (core.codec as Codec<Out>) : guardedCodec(own, userCode);
  const reader = core.reader.within(space, codec);
  const nowMs = (): number => reader.nowMs();
  const encoder = new WriteEncoder<In, Out>({
    space,
    codec,
    limits,
    kept,
    userCode,
    validate,
    ttlMs,
    nowMs,
  });
  return { core, reader, encoder, changes: new ChangeMaker(reader) };
}
