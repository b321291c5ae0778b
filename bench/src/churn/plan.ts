/**
 * A long sequence of changes that is the same for the same seed: which key gets how many bytes or goes,
 * when the present state is held and when it is let go of. Knows nothing of stores.
 */

/** What the changes are made to. Keys have numbers from 0, which are called slots. */
export interface ChurnTarget {
  set(slot: number, sizeBytes: number): void;
  delete(slot: number): void;
  /** Keeps the state of this moment readable until the function that it returns is called. */
  hold(): () => void;
}

export interface ChurnOptions {
  readonly seed: number;
  /** How many keys there are at most. */
  readonly slots: number;
  /** The largest value; sizes from 0 on, most of them small. */
  readonly valueBytesMax: number;
  /** Snapshots held at once. */
  readonly holdsMax: number;
}

interface Phase {
  readonly name: string;
  /** Of a hundred operations so many are deletions. */
  readonly deletions: number;
  /** Values get at most this share of the largest size. */
  readonly sizeShare: number;
  /** The greater, the more of them are small. */
  readonly skew: number;
}

/**
 * One cycle: the sizes of values change while keys are added, overwritten and deleted, so that what one
 * phase leaves free is never what the next one needs.
 */
const PHASES: readonly Phase[] = [
  { name: "grow, small values", deletions: 2, sizeShare: 1 / 16, skew: 1 },
  { name: "overwrite with large values", deletions: 10, sizeShare: 1, skew: 2 },
  { name: "delete most", deletions: 85, sizeShare: 1, skew: 3 },
  { name: "grow, all sizes", deletions: 5, sizeShare: 1, skew: 4 },
  { name: "overwrite with small values", deletions: 10, sizeShare: 1 / 8, skew: 2 },
  { name: "delete some, all sizes", deletions: 50, sizeShare: 1, skew: 3 },
];

const ABSENT = -1;

interface Hold {
  readonly release: () => void;
  readonly until: number;
}

export class Churn {
  /** Bytes of the value of each slot; {@link ABSENT} when it has none. */
  readonly sizes: Int32Array;
  readonly #options: ChurnOptions;
  readonly #random: () => number;
  readonly #holds: Hold[] = [];
  #operations = 0;

  constructor(options: ChurnOptions) {
    this.#options = options;
    this.#random = randomNumbers(options.seed);
    this.sizes = new Int32Array(options.slots).fill(ABSENT);
  }

  get operations(): number {
    return this.#operations;
  }

  /** What goes on at the moment, for people. */
  get phase(): string {
    return this.#phase().name;
  }

  /** Keys that are there, and the bytes of their values. */
  live(): { keys: number; valueBytes: number } {
    let keys = 0;
    let valueBytes = 0;
    for (const size of this.sizes) {
      if (size === ABSENT) continue;
      keys++;
      valueBytes += size;
    }
    return { keys, valueBytes };
  }

  run(target: ChurnTarget, operations: number): void {
    for (let i = 0; i < operations; i++) this.#step(target);
  }

  /** Lets go of every snapshot. */
  releaseAll(): void {
    for (const { release } of this.#holds.splice(0)) release();
  }

  /** Each phase lasts as long as it takes to meet nearly every slot. */
  #phase(): Phase {
    const length = 2 * this.#options.slots;
    return PHASES[Math.floor(this.#operations / length) % PHASES.length];
  }

  #step(target: ChurnTarget): void {
    const { slots, valueBytesMax } = this.#options;
    const phase = this.#phase();
    this.#operations++;
    this.#turnHolds(target);
    const slot = Math.floor(this.#random() * slots);
    if (this.#random() * 100 < phase.deletions) {
      if (this.sizes[slot] !== ABSENT) target.delete(slot);
      this.sizes[slot] = ABSENT;
      return;
    }
    const size = Math.floor(this.#random() ** phase.skew * phase.sizeShare * (valueBytesMax + 1));
    target.set(slot, size);
    this.sizes[slot] = size;
  }

  /** Holds last between an eighth of a phase and two phases, so that some live through a change of sizes. */
  #turnHolds(target: ChurnTarget): void {
    const { slots, holdsMax } = this.#options;
    if (this.#operations % Math.ceil(slots / 4) !== 0) return;
    for (let i = this.#holds.length - 1; i >= 0; i--) {
      if (this.#holds[i].until <= this.#operations) this.#holds.splice(i, 1)[0].release();
    }
    if (this.#holds.length >= holdsMax) return;
    const until = this.#operations + slots * (0.25 + 3.75 * this.#random());
    this.#holds.push({ release: target.hold(), until });
  }
}

/** Numbers in 0 .. 1 from a seed (mulberry32: 32 bits of state are plenty for sizes and slots). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Writes every slot that has a value, in an order that has nothing to do with how it came to be. */
export function loadFresh(sizes: Int32Array, target: Pick<ChurnTarget, "set">, seed: number): void {
  const order = Uint32Array.from(sizes, (_, slot) => slot);
  const random = randomNumbers(seed);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const held = order[i];
    order[i] = order[j];
    order[j] = held;
  }
  for (const slot of order) if (sizes[slot] !== ABSENT) target.set(slot, sizes[slot]);
}
