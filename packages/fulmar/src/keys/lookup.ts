import { KEY_BYTES_MAX } from "../base/limits.js";
import type { Key } from "./key.js";
import { LEAD_NUMBER } from "./leads.js";
import { NUMBER_BYTES, writeNumber } from "./scalars.js";
import { type KeySpace, STORE_KEYS } from "./space.js";
import { writeShortAscii } from "./utf8.js";

/**
 * Encodes the keys of lookups one after the other into the same buffer: what {@link KeySpace.encode} gives,
 * without an array for each. The result is `bytes[0, length)` and holds until the next call.
 */
export class LookupKey {
  readonly #buffer = new Uint8Array(KEY_BYTES_MAX);
  bytes: Uint8Array = this.#buffer;
  length = 0;
  readonly #space: KeySpace;
  /** Where the key itself begins: after what is the same in all. */
  readonly #start: number;

  constructor(space = STORE_KEYS) {
    this.#space = space;
    this.#start = space.prefix.length;
    this.#buffer.set(space.prefix);
  }

  /** @throws as {@link KeySpace.encode} */
  encode(key: Key, bytesMax: number): void {
    const start = this.#start;
    if (
      typeof key === "string" &&
      start + key.length <= bytesMax &&
      writeShortAscii(key, this.#buffer, start)
    ) {
      this.bytes = this.#buffer;
      this.length = start + key.length;
    } else if (typeof key === "number" && !Number.isNaN(key) && bytesMax > start + NUMBER_BYTES) {
      this.bytes = this.#buffer;
      this.bytes[start] = LEAD_NUMBER;
      writeNumber(this.bytes, start + 1, key);
      this.length = start + 1 + NUMBER_BYTES;
    } else {
      // Reading the elements of an array may run code of the caller that looks up something itself.
      const encoded = this.#space.encode(key, bytesMax);
      this.bytes = encoded;
      this.length = encoded.length;
    }
  }
}
