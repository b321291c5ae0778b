import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { codeOf } from "../../../src/base/errors.js";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { COUNT_MAX, REVOKED, SECTION } from "../../../src/memory/shared/control.js";
import { SMALL, SMALLEST } from "../offheap/shapes.js";
import { Owner, SteppedReader } from "./fixture.js";

const LIMBO_MAX = 20_000;
const SIZES = [0, 5, 40, 200, 700];

function setUp(bounds = {}, shape = SMALL): { owner: Owner; reader: SteppedReader } {
  const owner = new Owner({ seed: 4711, shape, bounds, keys: 60 });
  for (let i = 0; i < 40; i++) owner.commit(3, 0);
  owner.settle();
  return { owner, reader: new SteppedReader(owner.sharing) };
}

/** Overwrites and deletes at random. */
function churn(owner: Owner, commits: number): void {
  for (let i = 0; i < commits; i++) {
    owner.commit(4, 1, SIZES);
    owner.settle();
  }
}

describe("memory that readers may look at", () => {
  it("waits while a read goes on, and is used again when it has ended", () => {
    const { owner, reader } = setUp();
    let before = 0;
    reader.session.read(() => {
      churn(owner, 5);
      before = owner.sharing.waiting.bytes;
      churn(owner, 5);
      expect(owner.sharing.waiting.bytes).toBeGreaterThan(before);
      owner.engine.verify();
    });
    expect(before).toBeGreaterThan(0);
    churn(owner, 1);
    expect(owner.sharing.waiting.bytes).toBeLessThan(before);
  });

  it("waits for the oldest of several reads", () => {
    const { owner, reader } = setUp();
    const others = [new SteppedReader(owner.sharing), new SteppedReader(owner.sharing)];
    const waiting: number[] = [];
    const churnAndNote = (): void => {
      churn(owner, 4);
      waiting.push(owner.sharing.waiting.bytes);
    };
    others[0].session.read(() => {
      churnAndNote();
      reader.session.read(churnAndNote);
      others[1].session.read(churnAndNote);
      churnAndNote();
    });
    expect(waiting).toEqual([...waiting].sort((a, b) => a - b));
    expect(waiting[3]).toBeGreaterThan(3 * waiting[0]);
  });

  it("is bounded, however long a reader stands in the middle of a read", () => {
    const { owner, reader } = setUp({ limboBytesMax: LIMBO_MAX });
    const expected = owner.state();
    let reads = 0;
    const seen = reader.session.read(() => {
      if (reads++ === 0) {
        for (let i = 0; i < 300; i++) {
          churn(owner, 1);
          // One change's worth more: the bound is looked at when a change is done.
          expect(owner.sharing.waiting.bytes).toBeLessThan(LIMBO_MAX + 20_000);
        }
        expect(reader.attached.block[SECTION]).toBe(REVOKED);
        return [];
      }
      return ["read again"];
    });
    expect([reads, seen]).toEqual([2, ["read again"]]);
    expect(reader.scan(ALL_KEYS, false)).toEqual(expected);
    owner.engine.verify();
  });

  it("is let go of at once with the last reader, even in the middle of a read", () => {
    const { owner, reader } = setUp();
    const failure = caught(() =>
      reader.session.read(() => {
        churn(owner, 5);
        expect(owner.sharing.waiting.bytes).toBeGreaterThan(0);
        owner.sharing.detach(reader.attached);
        expect(owner.sharing.waiting).toEqual({ bytes: 0, cells: 0, nodes: 0 });
        churn(owner, 5);
      }),
    );
    expect(codeOf(failure)).toBe("REVOKED");
    expect(codeOf(caught(() => reader.refresh()))).toBe("REVOKED");
    owner.engine.verify();
  });
});

describe("a read that was taken back", () => {
  it("ends, and gives nothing that it saw, whatever the memory holds by then", () => {
    let revoked = 0;
    let right = 0;
    const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(seeds, fc.boolean(), (seed, reverse) => {
        const bounds = { limboBytesMax: 0 };
        const owner = new Owner({ seed, shape: SMALLEST, bounds, keys: 50 });
        churn(owner, 20);
        const reader = new SteppedReader(owner.sharing);
        const expected = owner.state();
        let left = 400;
        reader.view.stepper = { step: () => left-- > 0 && churn(owner, 1) };
        for (let i = 0; i < 8; i++) {
          try {
            const seen = reader.scan(ALL_KEYS, reverse);
            expect(reverse ? seen.reverse() : seen).toEqual(expected);
            right++;
          } catch (error) {
            expect(codeOf(error), String(error)).toBe("REVOKED");
            revoked++;
          }
        }
      }),
      { numRuns: 15 },
    );
    expect(revoked).toBeGreaterThan(0);
    expect(right).toBeGreaterThan(0);
  });

  it("is not given when the owner let go of the reader between any two of its words", () => {
    const outcomes = new Set<string>();
    for (let moment = 0; moment < 60; moment++) {
      const { owner, reader } = setUp();
      const expected = owner.state();
      let left = Math.floor(moment / 2);
      let changes = 0;
      reader.view.stepper = { step: () => changes-- > 0 && churn(owner, 1) };
      const letGo = (): void => {
        if (left-- !== 0) return;
        owner.sharing.detach(reader.attached);
        // From now on the tree changes in place, and memory is used again at once.
        changes = 50;
      };
      const failure = caught(() => {
        let seen: string[] = [];
        betweenWords(owner, reader, letGo, () => {
          if (moment % 2 === 0) reader.refresh();
          seen = reader.scan(ALL_KEYS, false);
        });
        expect(seen).toEqual(expected);
      });
      if (failure !== undefined) expect(codeOf(failure), String(failure)).toBe("REVOKED");
      outcomes.add(failure === undefined ? "read" : "revoked");
    }
    expect(outcomes.size).toBe(2);
  });

  it("tells a bug from what the owner did", () => {
    const { reader } = setUp();
    const failure = caught(() => reader.session.read(() => reader.view.slab(2 ** 31)));
    expect(codeOf(failure)).toBe("INVARIANT");
  });
});

describe("a state that a reader stays at", () => {
  it("is taken away when the reader does nothing, and only if it keeps anything", () => {
    const { owner, reader } = setUp();
    const { sharing } = owner;
    sharing.revokeIdle(reader.attached);
    expect(sharing.revokeIdle(reader.attached)).toBe(false);
    const expected = owner.state();
    churn(owner, 30);
    const kept = owner.engine.usage().oldVersions;
    expect(kept).toBeGreaterThan(0);
    expect(reader.scan(ALL_KEYS, false)).toEqual(expected);
    expect(sharing.revokeIdle(reader.attached)).toBe(false);
    expect(sharing.revokeIdle(reader.attached)).toBe(true);
    while (owner.engine.vacuum(1000));
    expect(owner.engine.usage().oldVersions).toBe(0);
    expect(codeOf(caught(() => reader.scan(ALL_KEYS, false)))).toBe("REVOKED");
    reader.refresh();
    expect(reader.scan(ALL_KEYS, false)).toEqual(owner.state());
  });

  it("is not mixed with another one when it is taken away in the middle of a read", () => {
    const { owner, reader } = setUp();
    churn(owner, 3);
    let reads = 0;
    const failure = caught(() =>
      reader.session.read(() => {
        reads++;
        owner.sharing.revokeIdle(reader.attached);
        owner.sharing.revokeIdle(reader.attached);
        churn(owner, 20);
      }),
    );
    expect(reads).toBe(1);
    expect(codeOf(failure)).toBe("REVOKED");
  });

  it("is pinned in time, when the owner goes on while the reader announces it", () => {
    const { owner, reader } = setUp();
    let changes = 0;
    const goOn = (): void => {
      if (changes > 0 && owner.random(2) === 0) {
        changes--;
        churn(owner, 1);
      }
    };
    for (let i = 0; i < 200; i++) {
      changes = 3;
      betweenWords(owner, reader, goOn, () => reader.refresh());
      const { version } = reader;
      const isNewest = version === owner.plain.settled;
      const expected = isNewest ? owner.state() : undefined;
      churn(owner, 2);
      const seen = reader.scan(ALL_KEYS, false);
      if (expected !== undefined) expect(seen).toEqual(expected);
      for (const shown of seen) expect(Number(shown.split(" ")[0])).toBeLessThanOrEqual(version);
      churn(owner, 2);
      expect(reader.scan(ALL_KEYS, false)).toEqual(seen);
    }
  });

  it("is pinned in time, when the reader announces it while the owner goes on", () => {
    const { owner, reader } = setUp();
    const seen = new Set<boolean>();
    for (let i = 0; i < 300; i++) {
      churn(owner, 1);
      const states = new Map([[owner.plain.settled, owner.state()]]);
      owner.commit(4, 1, SIZES);
      let left = owner.random(14);
      const announce = (): void => {
        if (left-- === 0) reader.refresh();
      };
      betweenWords(owner, reader, announce, () => owner.settle());
      states.set(owner.plain.settled, owner.state());
      if (left >= 0) reader.refresh();
      seen.add(reader.version === owner.plain.settled);
      while (owner.engine.vacuum(1000));
      expect(reader.scan(ALL_KEYS, false)).toEqual(states.get(reader.version));
      churn(owner, 1);
      expect(reader.scan(ALL_KEYS, false)).toEqual(states.get(reader.version));
    }
    // Some announced the state before, and some the one after.
    expect(seen.size).toBe(2);
  });

  it("ends before counts of publications come round again", () => {
    const { owner, reader } = setUp({ silence: 8, firstPublication: COUNT_MAX - 3 });
    const other = new SteppedReader(owner.sharing);
    for (let i = 0; i < 40; i++) {
      churn(owner, 1);
      other.refresh();
      expect(other.scan(ALL_KEYS, false)).toEqual(owner.state());
    }
    expect(owner.sharing.readers.size).toBe(1);
    expect(codeOf(caught(() => reader.refresh()))).toBe("REVOKED");
  });
});

/** Does `work`, and `between` before each access to the words through which owner and reader meet. */
function betweenWords(owner: Owner, reader: SteppedReader, between: () => void, work: () => void): void {
  const words: readonly unknown[] = [owner.sharing.control, reader.attached.block];
  const { load, store, compareExchange } = Atomics;
  const originals = { load, store, compareExchange };
  const step = (array: unknown): void => {
    if (!words.includes(array)) return;
    Object.assign(Atomics, originals);
    between();
    Object.assign(Atomics, stepped);
  };
  const stepped = {
    load: (array: Uint32Array, at: number) => {
      step(array);
      return load(array, at);
    },
    store: (array: Uint32Array, at: number, value: number) => {
      step(array);
      return store(array, at, value);
    },
    compareExchange: (array: Uint32Array, at: number, expected: number, value: number) => {
      step(array);
      return compareExchange(array, at, expected, value);
    },
  };
  Object.assign(Atomics, stepped);
  try {
    work();
  } finally {
    Object.assign(Atomics, originals);
  }
}

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
