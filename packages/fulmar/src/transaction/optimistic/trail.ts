import { assert } from "../../base/assert.js";

/** Keys that are remembered at most: beyond, the oldest commits are forgotten and ranges are read again. */
const TRAIL_KEYS_MAX = 65_536;

/** A commit that changed something while a transaction was open. */
interface Step {
  readonly version: number;
  readonly keys: readonly Uint8Array[];
}

/**
 * The keys of recent commits, kept only while a transaction is open: a transaction that read a large range
 * looks at what changed since rather than at the range again.
 */
export class Trail {
  #steps: Step[] = [];
  #keys = 0;
  #followers = 0;
  /** Every commit above this is remembered. */
  #from = 0;

  /** Whether anybody would look at it. */
  get followed(): boolean {
    return this.#followers > 0;
  }

  /** Somebody will ask for what is committed above `version`, the newest one, until {@link leave}. */
  follow(version: number): void {
    if (this.#followers++ === 0) this.#from = version;
  }

  /** One of those who follow asks no more. */
  leave(): void {
    assert(this.#followers > 0, "who leaves has followed");
    if (--this.#followers > 0 || this.#steps.length === 0) return;
    this.#steps = [];
    this.#keys = 0;
  }

  add(version: number, changed: readonly { readonly key: Uint8Array }[]): void {
    const keys = changed.map(({ key }) => key);
    this.#steps.push({ version, keys });
    this.#keys += keys.length;
    if (this.#keys > TRAIL_KEYS_MAX) this.#forget();
  }

  rollback(version: number): void {
    while (this.#steps.length > 0 && this.#steps[this.#steps.length - 1].version > version) {
      this.#keys -= this.#steps.pop()?.keys.length ?? 0;
    }
  }

  /** The keys that were changed above `version`; undefined when they are not all remembered, or over `most`. */
  since(version: number, most: number): Uint8Array[] | undefined {
    if (!this.followed || version < this.#from) return undefined;
    const keys: Uint8Array[] = [];
    for (let i = this.#steps.length - 1; i >= 0 && this.#steps[i].version > version; i--) {
      if (keys.length + this.#steps[i].keys.length > most) return undefined;
      for (const key of this.#steps[i].keys) keys.push(key);
    }
    return keys;
  }

  /** Forgets half of it, so that this costs little on average. */
  #forget(): void {
    let first = 0;
    while (first < this.#steps.length && this.#keys > TRAIL_KEYS_MAX / 2) {
      this.#keys -= this.#steps[first].keys.length;
      this.#from = this.#steps[first].version;
      first++;
    }
    this.#steps = this.#steps.slice(first);
  }
}
