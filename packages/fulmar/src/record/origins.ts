import { assert } from "../base/assert.js";
import { fromHex, toHex } from "../base/bytes.js";
import { FulmarError } from "../base/errors.js";
import { ORIGINS_MAX } from "../base/limits.js";

/** Bytes of an origin's identity: a random incarnation of a data directory. */
export const ORIGIN_ID_BYTES = 16;

/** An origin's identity as 32 hexadecimal digits. */
export type OriginId = string;

/**
 * The dictionary between origins and the small numbers that stand for them in entries. Numbers start
 * at 1 and are never reused within one dictionary.
 */
export class OriginTable {
  readonly #ids: OriginId[] = [""];
  readonly #bytes: Uint8Array[] = [new Uint8Array(ORIGIN_ID_BYTES)];
  readonly #numbers = new Map<OriginId, number>();

  /** How many origins are known; their numbers are 1 to `size`. */
  get size(): number {
    return this.#numbers.size;
  }

  /** The number of an origin, given one if it is new. */
  intern(id: OriginId): number {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const bytes = fromHex(id);
    assert(bytes?.length === ORIGIN_ID_BYTES, "an origin is 16 bytes");
    if (this.size >= ORIGINS_MAX) {
      throw new FulmarError("PROTOCOL_VIOLATION", `more than ${ORIGINS_MAX} origins in one store`);
    }
    const number = this.#ids.length;
    this.#ids.push(id);
    this.#bytes.push(bytes);
    this.#numbers.set(id, number);
    return number;
  }

  /** The number of a known origin, or 0. */
  numberOf(id: OriginId): number {
    return this.#numbers.get(id) ?? 0;
  }

  id(number: number): OriginId {
    assert(number > 0 && number < this.#ids.length, "origin numbers come from this dictionary");
    return this.#ids[number];
  }

  idBytes(number: number): Uint8Array {
    assert(number > 0 && number < this.#bytes.length, "origin numbers come from this dictionary");
    return this.#bytes[number];
  }
}

export function originFromBytes(bytes: Uint8Array, at: number): OriginId {
  return toHex(bytes.subarray(at, at + ORIGIN_ID_BYTES));
}
