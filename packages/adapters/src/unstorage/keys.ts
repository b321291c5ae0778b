import { FulmarTypeError } from "fulmar";
import { refusal } from "../check.js";

/** A separator of unstorage's keys. */
const SEPARATOR = ":";

/** Keys of unstorage below a base, as keys of the store: strings, whose parts are joined by colons. */
export class BaseKeys {
  readonly #prefix: string;

  constructor(base: string | undefined) {
    const trimmed = trimSeparators(base ?? "");
    this.#prefix = trimmed === "" ? "" : trimmed + SEPARATOR;
  }

  /** The key of the store. */
  toStore(key: string): string {
    if (typeof key !== "string") throw new FulmarTypeError("INVALID_KEY", "keys of unstorage are strings");
    return this.#prefix + key;
  }

  /** The key of unstorage. */
  fromStore(key: string): string {
    return key.slice(this.#prefix.length);
  }

  /** What all keys of the store below `base` begin with. */
  prefixOf(base: string | undefined): string {
    const trimmed = trimSeparators(base ?? "");
    return trimmed === "" ? this.#prefix : this.#prefix + trimmed + SEPARATOR;
  }
}

function trimSeparators(base: string): string {
  if (typeof base !== "string") throw refusal("a base must be a string");
  return base.replace(/^:+|:+$/g, "");
}
