import { EMPTY_BYTES } from "../../base/bytes.js";
import { successor } from "../../keys/range.js";
import { keyOf, originOf, seqOf } from "../../record/entry.js";
import { LATEST, NONE, type Pin, type Ref } from "../engine.js";
import type { CursorSource } from "./cursors.js";
import { OrderSorter } from "./order-sorter.js";
import { originGroup } from "./origin-order.js";
import { ScanCursor } from "./scan-cursor.js";

/**
 * Orders by origin what an engine holds, a step at a time, while the engine goes on. A pin on the settled state
 * keeps what is visible there where it is: that is collected on a walk through all keys, sorted, and added. It is
 * nearly everything; the few other versions are among what comes and goes meanwhile.
 */
export class OriginBuilder {
  readonly #source: CursorSource;
  readonly #pin: Pin;
  readonly #recordsPerStep: number;
  readonly #work: Iterator<void, void>;
  /** Where the walk goes on; undefined at its end. */
  #from: Uint8Array | undefined = EMPTY_BYTES;

  /** `pin` is that of the settled state, which cannot be rolled back. */
  constructor(source: CursorSource, pin: Pin, recordsPerStep: number) {
    this.#source = source;
    this.#pin = pin;
    this.#recordsPerStep = recordsPerStep;
    this.#work = this.#run();
  }

  /**
   * Does about a millisecond's work; true when the order is complete. Throws, and there is no order, where there is no
   * memory for it.
   */
  step(): boolean {
    try {
      return this.#work.next().done === true;
    } catch (error) {
      this.#source.indexes.origins.forget();
      this.#pin.release();
      throw error;
    }
  }

  *#run(): Generator<void, void> {
    const { origins } = this.#source.indexes;
    origins.begin();
    const sorter = new OrderSorter(origins.whole);
    for (this.#walk(sorter); this.#from !== undefined; this.#walk(sorter)) yield;
    while (!sorter.step()) yield;
    origins.beginMerging();
    while (!origins.merge(this.#recordsPerStep)) yield;
    // Not before: the pin is there as long as the work, whatever it does in between.
    this.#pin.release();
  }

  /** Visits some keys. Others may have come or gone since the last ones, on either side. */
  #walk(sorter: OrderSorter): void {
    const { records } = this.#source.indexes;
    const range = { from: this.#from ?? EMPTY_BYTES, to: undefined };
    const cursor = new ScanCursor(this.#source, range, LATEST, false, {});
    let last: Ref = NONE;
    for (let i = 0; i < this.#recordsPerStep; i++) {
      const ref = cursor.next();
      if (ref === NONE) {
        this.#from = undefined;
        return;
      }
      this.#visit(ref, sorter);
      last = ref;
    }
    this.#from = successor(keyOf(records.slab(last), records.offset(last)));
  }

  /** Takes every version of a key: the one that the pin keeps for good, others as long as they stay. */
  #visit(newest: Ref, sorter: OrderSorter): void {
    const { records, origins } = this.#source.indexes;
    let isSeen = false;
    for (let ref = newest; ref !== NONE; ref = records.older(ref)) {
      if (!isSeen && records.versionOf(ref) <= this.#pin.version) {
        isSeen = true;
        this.#collect(ref, sorter);
      } else origins.admitAgain(ref);
    }
  }

  #collect(ref: Ref, sorter: OrderSorter): void {
    const { records } = this.#source.indexes;
    const slab = records.slab(ref);
    const at = records.offset(ref);
    const seq = seqOf(slab, at);
    sorter.add(originGroup(originOf(slab, at), seq), seq >>> 0, ref);
  }
}
