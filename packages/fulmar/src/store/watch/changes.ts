import {
  deadlineOf,
  flagsOf,
  hlcOf,
  keyOf,
  originOf,
  seqOf,
  TOMBSTONE,
  valueView,
} from "../../record/entry.js";
import { type Reader, reasonOf } from "../reader.js";
import type { Change, SetChange } from "../types.js";

/** What a change takes besides key and value, about, in bytes. */
const CHANGE_BYTES = 128;

/** Node asks a method of this name how an object is shown. */
const INSPECTED = Symbol.for("nodejs.util.inspect.custom");

/** A change as it waits for somebody. */
export interface Shown<V> {
  /** Encoded. */
  readonly key: Uint8Array;
  readonly change: Change<V>;
  /** Bytes in memory, about. */
  readonly sizeBytes: number;
}

/** Makes changes of entries. Nothing in them is a view of memory. */
export class ChangeMaker<V> {
  readonly reader: Pick<Reader<V>, "origins" | "codec" | "space">;

  constructor(reader: Pick<Reader<V>, "origins" | "codec" | "space">) {
    this.reader = reader;
  }

  /** Copies what the entry at `at` holds; values are decoded when somebody looks at them. */
  make(bytes: Uint8Array, at: number): Shown<V> {
    const { origins, codec, space } = this.reader;
    const flags = flagsOf(bytes, at);
    const key = keyOf(bytes, at);
    const stamp = {
      hlc: hlcOf(bytes, at),
      origin: origins.id(originOf(bytes, at)),
      seq: seqOf(bytes, at),
    };
    const base = { key: space.decode(key), stamp };
    if ((flags & TOMBSTONE) !== 0) {
      const change = { ...base, type: "delete", value: undefined, reason: reasonOf(flags) } as const;
      return { key, change, sizeBytes: key.length + CHANGE_BYTES };
    }
    // Not `slice`, which on a Buffer is a view.
    const value = new Uint8Array(valueView(bytes, at));
    const deadline = deadlineOf(bytes, at);
    const expiresAt = Number.isFinite(deadline) ? deadline : undefined;
    const change = new LazyChange(base, expiresAt, () => codec.decode(value));
    return { key, change, sizeBytes: key.length + value.length + CHANGE_BYTES };
  }
}

/**
 * A written entry whose value is decoded when somebody looks at it. Its value is a property of its own, as that of a
 * deletion: copies, `JSON.stringify` and `structuredClone` have it. What is decoded for each change that somebody might
 * look at would cost a watch many times as much as all the rest.
 */
class LazyChange<V> implements SetChange<V> {
  /** One for all, so that all changes have the same shape. */
  static readonly #value: PropertyDescriptor & ThisType<LazyChange<unknown>> = {
    enumerable: true,
    get() {
      return this.#decode();
    },
  };
  // Made in the constructor, in this order; what is not declared only would be there before.
  declare readonly type: "set";
  declare readonly key: Change<V>["key"];
  declare readonly value: V;
  declare readonly stamp: Change<V>["stamp"];
  declare readonly reason: "written";
  declare readonly expiresAt?: number;
  readonly #decode: () => V;

  constructor(base: Pick<Change<V>, "key" | "stamp">, expiresAt: number | undefined, decode: () => V) {
    this.#decode = decode;
    this.type = "set";
    this.key = base.key;
    Object.defineProperty(this, "value", LazyChange.#value);
    this.stamp = base.stamp;
    this.reason = "written";
    if (expiresAt !== undefined) this.expiresAt = expiresAt;
  }

  /** What `console.log` shows: it would not look behind a getter. */
  [INSPECTED](): object {
    const { type, key, stamp, reason, expiresAt } = this;
    const shown = { type, key, value: this.#valueOrError(), stamp, reason };
    return expiresAt === undefined ? shown : { ...shown, expiresAt };
  }

  #valueOrError(): unknown {
    try {
      return this.value;
    } catch (error) {
      return error;
    }
  }
}
