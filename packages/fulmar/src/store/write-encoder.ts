import { isReadable } from "../base/bytes.js";
import { FulmarRangeError, FulmarTypeError } from "../base/errors.js";
import { DEADLINE_MS_MAX, type Limits } from "../base/limits.js";
import { checkOptions, integerOption, isBytes, isRevoked, textOf } from "../base/options.js";
import { ignoreRejection } from "../base/tell.js";
import { bigintCodec, type Codec, jsonCodec, textCodec } from "../codec/codec.js";
import { describeKey } from "../keys/key.js";
import type { KeySpace } from "../keys/space.js";
import { HAS_DEADLINE, TOMBSTONE } from "../record/entry.js";
import type { LocalWrite } from "../transaction/committer.js";
import { EncodedWrite } from "../transaction/local-write.js";
import { mismatch, type Validator } from "./schema.js";
import type { BatchOperation, Key, WriteOptions } from "./types.js";
import type { UserCode } from "./user-code.js";
import type { ValuePool } from "./value-pool.js";

/** What an operation of a batch may have. */
const OPERATION_MEMBERS = ["type", "key", "value", "ttl", "expiresAt"] as const;
const [TYPE, KEY, VALUE, TTL, EXPIRES_AT] = OPERATION_MEMBERS;
const NO_VALUE = new Uint8Array(0);
const FOR_EVER = Number.POSITIVE_INFINITY;

/** When a written entry stops being readable: the options of every write that has one. Infinity: never. */
export type Lifetime = Pick<WriteOptions, "ttl" | "expiresAt">;

/** What a write is encoded with. */
export interface WriteEncoderParts<In, Out> {
  readonly space: KeySpace;
  readonly codec: Codec<Out>;
  readonly limits: Limits;
  /** Where values wait that are applied later than they are encoded. Readers have another one. */
  readonly kept: ValuePool;
  readonly userCode: UserCode;
  /** Makes what is stored of what is given; without one, it is stored as it is. */
  readonly validate?: Validator<In, Out> | undefined;
  /** How long an entry lives in ms when its write does not say; without it, for ever. */
  readonly ttlMs?: number | undefined;
  /** The time that a ttl counts from, in wall ms. */
  nowMs(): number;
}

/**
 * Whether an operation of a batch has such a member. Names are compared by where they lie, one by one, in no time: a
 * search of the list takes four times as long.
 */
function isMember(name: string): boolean {
  return name === KEY || name === VALUE || name === TYPE || name === TTL || name === EXPIRES_AT;
}

/** Checks what applications ask to write and encodes it. Throws typed errors; nothing is changed by it. */
export class WriteEncoder<In, Out = In> {
  readonly #parts: WriteEncoderParts<In, Out>;
  /** Whether each value is encoded into an array that nobody else has. */
  readonly #makesFreshBytes: boolean;

  constructor(parts: WriteEncoderParts<In, Out>) {
    this.#parts = parts;
    const codec: unknown = parts.codec;
    this.#makesFreshBytes = codec === jsonCodec || codec === textCodec || codec === bigintCodec;
  }

  key(key: Key): Uint8Array {
    return this.#parts.space.encode(key, this.#parts.limits.keyBytesMax);
  }

  /** The bytes of a value may belong to the caller or the codec, and change once it runs again. */
  setting(key: Key, value: In, lifetime: Lifetime): LocalWrite {
    return this.renewal(this.key(key), this.#encodeValue(key, this.#validated(key, value)), lifetime);
  }

  /**
   * The same with bytes that stay as they are, for writes that are applied later than they are encoded. `encoded` is
   * the key, if somebody has its bytes.
   */
  keptSetting(key: Key, value: In, lifetime: Lifetime, encoded = this.key(key)): LocalWrite {
    return this.renewal(encoded, this.stored(key, this.#validated(key, value)), lifetime);
  }

  /** The same for a sum, which the schema, if there is one, must take and leave as it is. */
  counting(key: Key, encoded: Uint8Array, sum: number | bigint, lifetime: Lifetime): LocalWrite {
    const given = sum as In & Out;
    const value = this.#validated(key, given);
    if (value !== given) {
      const message = "validation changes the sum of an increment: read, add and set it in a transaction";
      throw mismatch(this.#parts.space.name ?? "", key, [{ message }]);
    }
    return this.renewal(encoded, this.stored(key, value), lifetime);
  }

  /** How a value that was read is stored. The bytes stay as they are. */
  stored(key: Key, value: Out): Uint8Array {
    const bytes = this.#encodeValue(key, value);
    if (this.#makesFreshBytes) return bytes;
    const kept = this.#parts.kept.take(bytes.length);
    kept.set(bytes);
    return kept;
  }

  /** The write of a value as it is stored. */
  renewal(key: Uint8Array, value: Uint8Array, lifetime: Lifetime): LocalWrite {
    const deadline = this.deadline(lifetime);
    return new EncodedWrite(key, value, deadline === 0 ? 0 : HAS_DEADLINE, deadline);
  }

  deletion(key: Key): LocalWrite {
    return this.removal(this.key(key));
  }

  /** The deletion of a key that is encoded already. */
  removal(key: Uint8Array): LocalWrite {
    return new EncodedWrite(key, NO_VALUE, TOMBSTONE, 0);
  }

  operation(operation: BatchOperation<In>): LocalWrite {
    if (typeof operation !== "object" || operation === null || isRevoked(operation)) {
      throw new FulmarTypeError("INVALID_ARGUMENT", "batch: an operation must be an object");
    }
    // Objects of one shape have their names at hand: a list of them, for each operation, would be made anew.
    for (const name in operation) if (!isMember(name)) checkOptions(operation, OPERATION_MEMBERS, "batch");
    // What comes next in the batch may use the same buffer: the codec's, or the caller's own.
    if (operation.type === "set") return this.keptSetting(operation.key, operation.value, operation);
    if (operation.type === "delete") return this.deletion(operation.key);
    const { type } = operation as { type: unknown };
    throw new FulmarTypeError(
      "INVALID_ARGUMENT",
      `batch: type must be "set" or "delete", not ${textOf(type)}`,
    );
  }

  /** The deadline in wall ms; 0 for none. */
  deadline({ ttl, expiresAt }: Lifetime): number {
    if (ttl === undefined && expiresAt === undefined) return this.#deadlineIn(this.#parts.ttlMs ?? FOR_EVER);
    if (ttl !== undefined && expiresAt !== undefined) {
      throw new FulmarTypeError("INVALID_ARGUMENT", "give either ttl or expiresAt, not both");
    }
    if (expiresAt === FOR_EVER || ttl === FOR_EVER) return 0;
    if (ttl === undefined) return integerOption(expiresAt, "expiresAt", 0, 1, DEADLINE_MS_MAX);
    return this.#deadlineIn(integerOption(ttl, "ttl", 0, 1, DEADLINE_MS_MAX));
  }

  #deadlineIn(lifeMs: number): number {
    if (lifeMs === FOR_EVER) return 0;
    return Math.min(DEADLINE_MS_MAX, Math.floor(this.#parts.nowMs()) + lifeMs);
  }

  #validated(key: Key, value: In): Out {
    const { validate } = this.#parts;
    if (validate === undefined) return value as In & Out;
    const { userCode } = this.#parts;
    userCode.enter();
    try {
      return validate(value, key);
    } finally {
      userCode.leave();
    }
  }

  #encoded(value: Out): Uint8Array {
    const { codec, userCode } = this.#parts;
    userCode.enter();
    try {
      return codec.encode(value);
    } finally {
      userCode.leave();
    }
  }

  #encodeValue(key: Key, value: Out): Uint8Array {
    const { codec, limits } = this.#parts;
    const bytes = this.#encoded(value);
    if (!isBytes(bytes)) {
      ignoreRejection(bytes);
      throw new FulmarTypeError("INVALID_VALUE", `codec ${codec.name} did not return a Uint8Array`);
    }
    if (!isReadable(bytes)) {
      const message = `the bytes of ${describeKey(key)} cannot be read: was their buffer transferred?`;
      throw new FulmarTypeError("INVALID_VALUE", message);
    }
    if (bytes.length > limits.valueBytesMax) {
      const size = `${bytes.length} bytes; the limit is ${limits.valueBytesMax}`;
      const message = `the value of ${describeKey(key)} has ${size}`;
      throw new FulmarRangeError("VALUE_TOO_LARGE", message);
    }
    return bytes;
  }
}
