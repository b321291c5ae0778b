import { describe, expect, it } from "vitest";
import { Churn, type ChurnTarget, loadFresh } from "../../../../bench/src/churn/plan.js";
import { LATEST, type MemoryEngine, NONE } from "../../src/memory/engine.js";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { entryLength } from "../../src/record/entry.js";
import { ascii, entry, quickHash } from "./fixtures.js";

/** Memory after the changes, as a multiple of that of a fresh load of the same data, at most. */
const RATIO_MAX = 1.3;
const SLOTS = 6000;
const VALUE_BYTES_MAX = 4096;
/** Slabs of which the few megabytes here fill many: memory comes back by the slab. */
const SHAPE = {
  slabBytes: 1 << 16,
  pageBytes: 1 << 9,
  chunkNodes: 16,
  cellBytesMax: 2048,
  ownSlabBytesMin: 1 << 15,
};

const keyOf = (slot: number): Uint8Array => ascii(`churn:${slot}`);

class Target implements ChurnTarget {
  readonly engine: MemoryEngine = createEngine({ hash: quickHash, secret: [1, 2], shape: SHAPE });

  set(slot: number, sizeBytes: number): void {
    this.#put(entry(keyOf(slot), { value: new Uint8Array(sizeBytes) }));
  }

  delete(slot: number): void {
    this.#put(entry(keyOf(slot)));
  }

  hold(): () => void {
    const pin = this.engine.pin(this.engine.version);
    return () => pin.release();
  }

  /** Bytes of everything, once nothing is left to let go of. */
  bytes(): number {
    this.engine.settle(this.engine.version);
    while (this.engine.vacuum(1000));
    const { recordBytes, overheadBytes } = this.engine.usage();
    return recordBytes + overheadBytes;
  }

  #put(bytes: Uint8Array): void {
    this.engine.put(this.engine.version + 1, bytes, 0, bytes.length);
    this.engine.settle(this.engine.version - 2);
  }
}

function freshBytes(sizes: Int32Array): number {
  const target = new Target();
  loadFresh(sizes, target, 1);
  return target.bytes();
}

function sizeOf({ engine }: Target, slot: number): number {
  const ref = engine.find(keyOf(slot), LATEST);
  if (ref === NONE) return -1;
  return (
    entryLength(engine.slab(ref), engine.offset(ref)) - entry(keyOf(slot), { value: new Uint8Array() }).length
  );
}

const seeds = [1, Math.floor(Math.random() * 2 ** 31)];

describe("memory after hundreds of thousands of changes of all sizes below held snapshots", () => {
  for (const seed of seeds) {
    it(`is about what a fresh load takes, whatever went on before (seed ${seed})`, () => {
      const plan = new Churn({ seed, slots: SLOTS, valueBytesMax: VALUE_BYTES_MAX, holdsMax: 3 });
      const target = new Target();
      // One look at the end of each phase of two cycles.
      for (let look = 0; look < 12; look++) {
        plan.run(target, 2 * SLOTS);
        plan.releaseAll();
        expect(target.bytes() / freshBytes(plan.sizes), plan.phase).toBeLessThan(RATIO_MAX);
        expect(Array.from(plan.sizes, (_, slot) => sizeOf(target, slot))).toEqual(Array.from(plan.sizes));
      }
      target.engine.verify();
    });

    it(`comes back when all is deleted (seed ${seed})`, () => {
      const plan = new Churn({ seed, slots: SLOTS, valueBytesMax: VALUE_BYTES_MAX, holdsMax: 3 });
      const target = new Target();
      plan.run(target, 9 * SLOTS);
      plan.releaseAll();
      for (const [slot, size] of plan.sizes.entries()) if (size >= 0) target.delete(slot);
      // A slab is kept for the next need, and the nodes of the indexes.
      expect(target.bytes()).toBeLessThan(2 * SHAPE.slabBytes + (1 << 20));
      target.engine.verify();
    });
  }
});
