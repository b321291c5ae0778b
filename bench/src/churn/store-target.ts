import { type ByteStore, openBytes } from "../fill.js";
import { turn } from "../measure.js";
import { churnKey } from "./engine-target.js";
import type { MeasuredTarget, Usage } from "./target.js";

/** Turns of the event loop without a change after which all is done: a round through ten million keys takes fewer. */
const QUIET_TURNS = 5000;

/** A store in memory, through the interface that its users have. */
export class StoreTarget implements MeasuredTarget {
  readonly #db: ByteStore;
  readonly #values: Uint8Array;
  #pending: Promise<unknown>[] = [];

  private constructor(db: ByteStore, valueBytesMax: number) {
    this.#db = db;
    this.#values = new Uint8Array(valueBytesMax).fill(7);
  }

  static async open(valueBytesMax: number, shared: boolean): Promise<StoreTarget> {
    return new StoreTarget(await openBytes(undefined, "memory", { shared }), valueBytesMax);
  }

  set(slot: number, sizeBytes: number): void {
    this.#pending.push(this.#db.set(churnKey(slot), this.#values.subarray(0, sizeBytes)));
  }

  delete(slot: number): void {
    this.#pending.push(this.#db.delete(churnKey(slot)));
  }

  /** A listing that has begun shows the state of its beginning until it ends. */
  hold(): () => void {
    const listing = this.#db.keys()[Symbol.iterator]();
    listing.next();
    return () => {
      listing.return?.();
    };
  }

  async turn(): Promise<void> {
    await Promise.all(this.#pending);
    this.#pending = [];
    await turn();
  }

  usage(): Usage {
    const { recordBytes, overheadBytes, oldVersions } = this.#db.status().memory;
    return { bytes: recordBytes + overheadBytes, recordBytes, oldVersions };
  }

  async check(sizes: Int32Array): Promise<void> {
    await this.turn();
    // What was put off, and the giving back of memory, is done a slice at a time: until nothing changes any more.
    for (let quiet = 0, bytes = 0; quiet < QUIET_TURNS || this.usage().oldVersions > 0; ) {
      await turn();
      const now = this.usage().bytes;
      quiet = now === bytes ? quiet + 1 : 0;
      bytes = now;
    }
    for (const [slot, size] of sizes.entries()) {
      const found = this.#db.get(churnKey(slot))?.length ?? -1;
      if (found !== size) throw new Error(`slot ${slot} has ${found} bytes instead of ${size}`);
    }
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}
