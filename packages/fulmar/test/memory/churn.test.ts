import { describe, expect, it } from "vitest";
import { Churn, type ChurnTarget, loadFresh } from "../../../../bench/src/churn/plan.js";
import { ALL_KEYS } from "../../src/keys/range.js";
import { LATEST, type MemoryEngine, NONE } from "../../src/memory/engine.js";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { Sharing } from "../../src/memory/shared/sharing.js";
import { entryLength, isTombstone } from "../../src/record/entry.js";
import { ascii, drain, entry, quickHash } from "./fixtures.js";
import { SteppedReader } from "./shared/fixture.js";

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

/** Memory of one thread; memory that others can read, which nobody does; or with two readers, of which one goes on. */
type Kind = "private" | "shared" | "shared and read";
/** Changes between two states of a reader that goes on. */
const REFRESH = 50;

class Target implements ChurnTarget {
  readonly engine: MemoryEngine;
  readonly #sharing: Sharing | undefined;
  readonly #readers: readonly SteppedReader[];
  #changes = 0;

  constructor(kind: Kind) {
    const sharing = kind === "private" ? undefined : new Sharing({ stepBytes: 1 << 10 });
    const options = { hash: quickHash, secret: [1, 2] as const, shape: SHAPE };
    this.engine = createEngine(sharing === undefined ? options : { ...options, sharing });
    this.#sharing = sharing;
    this.#readers =
      sharing === undefined || kind === "shared"
        ? []
        : [new SteppedReader(sharing), new SteppedReader(sharing)];
  }

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
    // What a reader stays at is kept for it. Deletions that it sees go some at a time, when it goes on.
    for (let i = 0; i < SLOTS && this.#readers.length > 0; i += 500) {
      for (const reader of this.#readers) reader.refresh();
      this.engine.settle(this.engine.version + 1);
      while (this.engine.vacuum(1000));
    }
    const { recordBytes, overheadBytes } = this.engine.usage();
    // What waits for the next need has a bound of its own, far above what is here.
    return recordBytes + overheadBytes - (this.#sharing?.buffers.idleBytes ?? 0);
  }

  /** What a reader on another thread sees, once it has gone on. */
  check(): void {
    for (const reader of this.#readers) {
      reader.refresh();
      expect(reader.scan(ALL_KEYS, false)).toEqual(
        drain(this.engine, this.engine.scan(ALL_KEYS, LATEST, false)),
      );
    }
  }

  #put(bytes: Uint8Array): void {
    this.engine.put(this.engine.version + 1, bytes, 0, bytes.length);
    this.engine.settle(this.engine.version - 2);
    // The other one stays where it is.
    if (this.#changes++ % REFRESH === 0) this.#readers[0]?.refresh();
  }
}

function freshBytes(sizes: Int32Array, kind: Kind): number {
  const target = new Target(kind);
  loadFresh(sizes, target, 1);
  return target.bytes();
}

function sizeOf({ engine }: Target, slot: number): number {
  const ref = engine.find(keyOf(slot), LATEST);
  if (ref === NONE || isTombstone(engine.slab(ref), engine.offset(ref))) return -1;
  return (
    entryLength(engine.slab(ref), engine.offset(ref)) - entry(keyOf(slot), { value: new Uint8Array() }).length
  );
}

const seeds = [1, Math.floor(Math.random() * 2 ** 31)];

describe.each<Kind>(["private", "shared", "shared and read"])(
  "memory (%s) after hundreds of thousands of changes of all sizes below held snapshots",
  (kind) => {
    for (const seed of seeds) {
      it(`is about what a fresh load takes, whatever went on before (seed ${seed})`, () => {
        const plan = new Churn({ seed, slots: SLOTS, valueBytesMax: VALUE_BYTES_MAX, holdsMax: 3 });
        const target = new Target(kind);
        // One look at the end of each phase of two cycles.
        for (let look = 0; look < 12; look++) {
          plan.run(target, 2 * SLOTS);
          plan.releaseAll();
          expect(target.bytes() / freshBytes(plan.sizes, kind), plan.phase).toBeLessThan(RATIO_MAX);
          expect(Array.from(plan.sizes, (_, slot) => sizeOf(target, slot))).toEqual(Array.from(plan.sizes));
        }
        target.check();
        target.engine.verify();
      });

      it(`comes back when all is deleted (seed ${seed})`, () => {
        const plan = new Churn({ seed, slots: SLOTS, valueBytesMax: VALUE_BYTES_MAX, holdsMax: 3 });
        const target = new Target(kind);
        plan.run(target, 9 * SLOTS);
        plan.releaseAll();
        for (const [slot, size] of plan.sizes.entries()) if (size >= 0) target.delete(slot);
        // A slab is kept for the next need, and the nodes of the indexes.
        expect(target.bytes()).toBeLessThan(2 * SHAPE.slabBytes + (1 << 20));
        target.engine.verify();
      });
    }
  },
);
