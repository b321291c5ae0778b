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
import type { Change } from "../types.js";

/** What a change takes besides key and value, about, in bytes. */
const CHANGE_BYTES = 128;

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
    const change = new SetChange(base, expiresAt, () => codec.decode(value));
    return { key, change, sizeBytes: key.length + value.length + CHANGE_BYTES };
  }
}

/** A written entry whose value is decoded when somebody looks at it. */
class SetChange<V> implements Change<V> {
  readonly type = "set";
  readonly reason = "written";
  readonly key: Change<V>["key"];
  readonly stamp: Change<V>["stamp"];
  readonly expiresAt?: number;
  readonly #decode: () => V;

  constructor(base: Pick<Change<V>, "key" | "stamp">, expiresAt: number | undefined, decode: () => V) {
    this.key = base.key;
    this.stamp = base.stamp;
    if (expiresAt !== undefined) this.expiresAt = expiresAt;
    this.#decode = decode;
  }

  get value(): V {
    return this.#decode();
  }
}
