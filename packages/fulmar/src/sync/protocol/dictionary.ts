import { assert } from "../../base/assert.js";
import { fromHex } from "../../base/bytes.js";
import type { OriginId } from "../../record/origins.js";
import type { ByteWriter } from "./byte-writer.js";

/** The origins that one message speaks of. Each message has its own, so that a lost one takes nothing along. */
export class Dictionary {
  readonly #numbers = new Map<OriginId, number>();

  /** The number of an origin, given one if it is new. Numbers start at 1. */
  number(origin: OriginId): number {
    const known = this.#numbers.get(origin);
    if (known !== undefined) return known;
    this.#numbers.set(origin, this.#numbers.size + 1);
    return this.#numbers.size;
  }

  origins(): OriginId[] {
    return [...this.#numbers.keys()];
  }
}

export function writeDictionary(writer: ByteWriter, origins: readonly OriginId[]): void {
  writer.u32(origins.length);
  for (const origin of origins) {
    const bytes = fromHex(origin);
    assert(bytes !== undefined, "an origin is hexadecimal");
    writer.bytes(bytes);
  }
}
