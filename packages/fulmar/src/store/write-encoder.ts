import { FulmarRangeError, FulmarTypeError } from "../base/errors.js";
import { DEADLINE_MS_MAX, type Limits } from "../base/limits.js";
import { integerOption } from "../base/options.js";
import { type Codec, jsonCodec, textCodec } from "../codec/codec.js";
import { describeKey, encodeKey } from "../keys/key.js";
import { HAS_DEADLINE, TOMBSTONE } from "../record/entry.js";
import type { LocalWrite } from "../transaction/committer.js";
import type { BatchOperation, Key, WriteOptions } from "./types.js";

const NO_VALUE = new Uint8Array(0);

/** When a written entry stops being readable: the options of every write that has one. */
export type Lifetime = Pick<WriteOptions, "ttl" | "expiresAt">;

/** What a write is encoded with. */
export interface WriteEncoderParts<V> {
  readonly codec: Codec<V>;
  readonly limits: Limits;
  /** The time that a ttl counts from, in wall ms. */
  nowMs(): number;
}

/** Checks what applications ask to write and encodes it. Throws typed errors; nothing is changed by it. */
export class WriteEncoder<V> {
  readonly #parts: WriteEncoderParts<V>;
  /** Whether each value is encoded into an array that nobody else has. */
  readonly #makesFreshBytes: boolean;

  constructor(parts: WriteEncoderParts<V>) {
    this.#parts = parts;
    const codec: unknown = parts.codec;
    this.#makesFreshBytes = codec === jsonCodec || codec === textCodec;
  }

  key(key: Key): Uint8Array {
    return encodeKey(key, this.#parts.limits.keyBytesMax);
  }

  /** The bytes of a value may belong to the caller or the codec, and change once it runs again. */
  setting(key: Key, value: V, lifetime: Lifetime): LocalWrite {
    const bytes = this.#encodeValue(key, value);
    return this.#lasting(this.key(key), bytes, lifetime);
  }

  /** The same with bytes that stay as they are, for writes that are applied later than they are encoded. */
  keptSetting(key: Key, value: V, lifetime: Lifetime): LocalWrite {
    const bytes = this.#encodeValue(key, value);
    const kept = this.#makesFreshBytes ? bytes : new Uint8Array(bytes);
    return this.#lasting(this.key(key), kept, lifetime);
  }

  /** A value as it is stored, under another deadline. */
  renewal(key: Uint8Array, value: Uint8Array, lifetime: Lifetime): LocalWrite {
    return this.#lasting(key, value, lifetime);
  }

  deletion(key: Key): LocalWrite {
    return this.removal(this.key(key));
  }

  /** The deletion of a key that is encoded already. */
  removal(key: Uint8Array): LocalWrite {
    return { key, value: NO_VALUE, flags: TOMBSTONE, deadline: 0 };
  }

  operation(operation: BatchOperation<V>): LocalWrite {
    if (typeof operation !== "object" || operation === null) {
      throw new FulmarTypeError("INVALID_ARGUMENT", "batch: an operation must be an object");
    }
    // What comes next in the batch may use the same buffer: the codec's, or the caller's own.
    if (operation.type === "set") return this.keptSetting(operation.key, operation.value, operation);
    if (operation.type === "delete") return this.deletion(operation.key);
    const { type } = operation as { type: unknown };
    throw new FulmarTypeError(
      "INVALID_ARGUMENT",
      `batch: type must be "set" or "delete", not ${String(type)}`,
    );
  }

  /** The deadline in wall ms; 0 for none. */
  deadline({ ttl, expiresAt }: Lifetime): number {
    if (ttl === undefined && expiresAt === undefined) return 0;
    if (ttl !== undefined && expiresAt !== undefined) {
      throw new FulmarTypeError("INVALID_ARGUMENT", "give either ttl or expiresAt, not both");
    }
    if (ttl === undefined) return integerOption(expiresAt, "expiresAt", 0, 1, DEADLINE_MS_MAX);
    const lifeMs = integerOption(ttl, "ttl", 0, 1, DEADLINE_MS_MAX);
    return Math.min(DEADLINE_MS_MAX, Math.floor(this.#parts.nowMs()) + lifeMs);
  }

  #lasting(key: Uint8Array, value: Uint8Array, lifetime: Lifetime): LocalWrite {
    const deadline = this.deadline(lifetime);
    return { key, value, flags: deadline === 0 ? 0 : HAS_DEADLINE, deadline };
  }

  #encodeValue(key: Key, value: V): Uint8Array {
    const { codec, limits } = this.#parts;
    const bytes = codec.encode(value);
    if (!(bytes instanceof Uint8Array)) {
      throw new FulmarTypeError("INVALID_VALUE", `codec ${codec.name} did not return a Uint8Array`);
    }
    if (bytes.length > limits.valueBytesMax) {
      const size = `${bytes.length} bytes; the limit is ${limits.valueBytesMax}`;
      const message = `the value of ${describeKey(key)} has ${size}`;
      throw new FulmarRangeError("VALUE_TOO_LARGE", message);
    }
    return bytes;
  }
}
