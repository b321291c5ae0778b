import { KEY_BYTES_MAX } from "../base/limits.js";
import { encodeKey, type Key } from "./key.js";
import { LEAD_NUMBER } from "./leads.js";
import { NUMBER_BYTES, writeNumber } from "./scalars.js";
import { writeShortAscii } from "./utf8.js";

/**
 * Encodes the keys of lookups one after the other into the same buffer: what {@link encodeKey} gives, without
 * an array for each. The result is `bytes[0, length)` and holds until the next call.
 */
export class LookupKey {
  readonly #buffer = new Uint8Array(KEY_BYTES_MAX);
  bytes: Uint8Array = this.#buffer;
  length = 0;

  /** @throws as {@link encodeKey} */
  encode(key: Key, bytesMax: number): void {
    if (typeof key === "string" && key.length <= bytesMax && writeShortAscii(key, this.#buffer, 0)) {
      this.bytes = this.#buffer;
      this.length = key.length;
    } else if (typeof key === "number" && !Number.isNaN(key) && bytesMax > NUMBER_BYTES) {
      this.bytes = this.#buffer;
      this.bytes[0] = LEAD_NUMBER;
      writeNumber(this.bytes, 1, key);
      this.length = 1 + NUMBER_BYTES;
    } else {
      // Reading the elements of an array may run code of the caller that looks up something itself.
      const encoded = encodeKey(key, bytesMax);
      this.bytes = encoded;
      this.length = encoded.length;
    }
  }
}
