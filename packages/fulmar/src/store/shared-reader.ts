import type { Codec, OptionsOfBigint, OptionsOfBytes, OptionsOfText } from "../codec/codec.js";
import type { KeyRange } from "../keys/range.js";
import { type KeySpace, STORE_KEYS } from "../keys/space.js";
import { keyOf } from "../record/entry.js";
import { type NamespaceOptions, namespaceParts, type SchemaOptions } from "./namespace.js";
import { namespaceNames } from "./namespaces.js";
import type { OwnerMessage } from "./reader-messages.js";
import type { SchemaOutput, StandardSchema } from "./schema.js";
import { SharedReadable } from "./shared-readable.js";
import { SharedSource, type SharedSourceParts } from "./shared-source.js";

/** What a reader is made of. */
export interface SharedReaderParts<V> extends SharedSourceParts {
  readonly codec: Codec<V>;
}

/**
 * Reads a store from another thread than the one that opened it, without asking that one: from shared memory.
 * A reader shows one state, the newest that was durable at its level when the reader was opened or last
 * refreshed, until {@link refresh} takes it on. It waits for nobody, and nobody for it. Get one from
 * `openReader`.
 *
 * Each state that a reader stays at keeps what the store replaced since in memory. Therefore a reader that has
 * not read for a while (`idleMs` of the store's option `shared`) loses its state: reads throw REVOKED until it
 * is refreshed. Refresh before each piece of work, and this never happens.
 *
 * Every method that reads throws CLOSED when the reader or the store is closed, and REVOKED as told above or
 * when the store let go of the reader.
 */
export class SharedReader<V = unknown> extends SharedReadable<V> {
  readonly #source: SharedSource;
  readonly #codec: Codec<V>;

  /** @internal Readers come from `openReader`. */
  constructor(parts: SharedReaderParts<V>) {
    const source = new SharedSource(parts);
    super(source, STORE_KEYS, parts.codec);
    this.#source = source;
    this.#codec = parts.codec;
  }

  /**
   * Goes on to the newest state, with all namespaces of this reader; returns {@link version}.
   * @throws CLOSED, REVOKED, TIMEOUT
   */
  refresh(): number {
    this.#source.refresh();
    return this.version;
  }

  /**
   * A namespace of the store, at the state that this reader shows, now and after each {@link refresh}. Options are
   * those that the store's own `namespace` takes: give it the same ones. What is read is not validated again, so that
   * a schema only says of which type it is; `ttl` is for writes. @throws INVALID_ARGUMENT, UNKNOWN_OPTION,
   * KEY_TOO_LARGE
   *
   * @example
   * ```ts
   * import { open, openReader } from "fulmar";
   *
   * await using db = await open(undefined, { shared: true });
   * await db.namespace<number>("ages").set("ada", 36);
   * await using reader = await openReader(db.readerHandle()); // usually on another thread
   * const ages = reader.namespace<number>("ages");
   * console.log(reader.namespaces(), ages.get("ada"), reader.get("ada")); // [ 'ages' ] 36 undefined
   * ```
   */
  namespace<S extends StandardSchema>(
    name: string,
    options: SchemaOptions<S>,
  ): SharedNamespace<SchemaOutput<S>>;
  namespace(name: string, options: OptionsOfBytes<NamespaceOptions<Uint8Array>>): SharedNamespace<Uint8Array>;
  namespace(name: string, options: OptionsOfText<NamespaceOptions<string>>): SharedNamespace<string>;
  namespace(name: string, options: OptionsOfBigint<NamespaceOptions<bigint>>): SharedNamespace<bigint>;
  namespace<T = V>(name: string, options?: NamespaceOptions<T>): SharedNamespace<T>;
  namespace<Out>(
    name: string,
    options: NamespaceOptions<Out> & { readonly schema?: StandardSchema<unknown, Out> } = {},
  ): SharedNamespace<Out> {
    const { space, codec = this.#codec as Codec<unknown> as Codec<Out> } = namespaceParts(
      name,
      options,
      this.#source.limits,
    );
    return new SharedNamespace(name, this.#source, space, codec);
  }

  /**
   * The names of the namespaces in which something can be read in this state, in order. Takes time in proportion to
   * their number, and to what was deleted or has expired in front of the first entry of each.
   */
  namespaces(): string[] {
    const nowMs = this.#source.nowMs();
    return namespaceNames((range) => this.#firstKey(range, nowMs));
  }

  /** Lets go of the store. Idempotent. */
  close(): Promise<void> {
    this.#source.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal Something that the store told. */
  receive(message: OwnerMessage): void {
    this.#source.receive(message);
  }

  #firstKey(range: KeyRange, nowMs: number): Uint8Array | undefined {
    const shape = { reverse: false, limit: 1 };
    for (const { count, bytes, starts } of this.#source.batches([range], shape, "keys", nowMs)) {
      if (count > 0) return keyOf(bytes[0], starts[0]);
    }
    return undefined;
  }
}

/**
 * A namespace as a reader on another thread sees it. It shows the reader's state, and ends with it. Get one from
 * {@link SharedReader.namespace}.
 */
export class SharedNamespace<V = unknown> extends SharedReadable<V> {
  readonly name: string;

  /** @internal Namespaces come from readers. */
  constructor(name: string, source: SharedSource, space: KeySpace, codec: Codec<V>) {
    super(source, space, codec);
    this.name = name;
  }
}
