import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HashTable, NO_PLACE } from "../../../src/memory/offheap/hash-table.js";

const SLOTS = 15;

const sizes = fc.record({
  groups: fc.integer({ min: 1, max: 80 }),
  chunkGroupsMax: fc.constantFrom(1, 2, 8),
});
/** Hashes of which many lead to the same few groups, the last ones too. */
const hash = fc.oneof(
  fc.constantFrom(0, 1, 0x100, 2 ** 31, -1, -2),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
);

/** A table beside a map of what is in it: record by hash. */
class Twins {
  readonly table: HashTable;
  readonly model = new Map<number, number>();
  readonly #emptyBytes: number;
  #next = 1;

  constructor({ groups, chunkGroupsMax }: { groups: number; chunkGroupsMax: number }) {
    this.table = new HashTable(groups, chunkGroupsMax);
    this.#emptyBytes = this.table.allocatedBytes;
  }

  add(keyHash: number): void {
    if (this.table.size === this.table.slots) return;
    this.model.set(this.#next, keyHash);
    this.table.add(keyHash, this.#next++);
  }

  remove(choice: number): void {
    const ref = [...this.model.keys()][choice % Math.max(1, this.model.size)];
    const keyHash = this.model.get(ref);
    if (keyHash === undefined) return;
    const place = this.table.placeOf(keyHash, ref);
    expect(place).not.toBe(NO_PLACE);
    this.table.remove(keyHash, place);
    this.model.delete(ref);
  }

  /** Empties groups from one behind which nothing is looked for, up to the next such one. */
  clearRun(from: number): number {
    let group = from;
    for (;;) {
      const refs = new Uint32Array(SLOTS);
      const count = this.table.copyAll(group, refs);
      const known = refs.subarray(0, count).filter((ref) => this.model.delete(ref));
      expect(known).toHaveLength(count);
      const goesOn = this.table.isPassed(group);
      this.table.clear(group);
      group = (group + 1) % this.table.groups;
      if (!goesOn || group === from) return group;
    }
  }

  check(): void {
    const { table, model } = this;
    table.verify((ref) => model.get(ref) ?? 0);
    expect(table.size).toBe(model.size);
    // One matcher for all: there are many thousands of them.
    const misplaced = [...model].filter(([ref, keyHash]) => {
      const place = table.placeOf(keyHash, ref);
      return place === NO_PLACE || table.ref(place) !== ref || table.placeOf(keyHash, -1) !== NO_PLACE;
    });
    expect(misplaced).toEqual([]);
    const all = new Set<number>();
    const refs = new Uint32Array(SLOTS);
    for (let group = 0; group < table.groups; group++) {
      for (const ref of refs.subarray(0, table.copyAll(group, refs))) all.add(ref);
    }
    expect(all).toEqual(new Set(model.keys()));
  }

  /** Bytes of the chunks in which keys are. */
  get neededBytes(): number {
    const { table } = this;
    const groupBytes = (table.bytesMax - this.#emptyBytes) / table.groups;
    const chunkGroups = table.chunkBytes / groupBytes;
    const chunks = new Set(
      [...this.model].map(([ref, keyHash]) => ((table.placeOf(keyHash, ref) >>> 4) / chunkGroups) | 0),
    );
    const groupsOf = (chunk: number): number => Math.min(chunkGroups, table.groups - chunk * chunkGroups);
    return this.#emptyBytes + groupBytes * [...chunks].reduce((sum, chunk) => sum + groupsOf(chunk), 0);
  }
}

describe("a table of hashes", () => {
  it("has each record at its place, and no other, however keys come and go", () => {
    const step = fc.oneof({ weight: 3, arbitrary: hash }, fc.record({ remove: fc.nat() }));
    fc.assert(
      fc.property(sizes, fc.array(step, { maxLength: 120, size: "max" }), (size, steps) => {
        const twins = new Twins(size);
        for (const one of steps) {
          if (typeof one === "number") twins.add(one);
          else twins.remove(one.remove);
        }
        twins.check();
        expect(twins.table.allocatedBytes).toBeGreaterThanOrEqual(twins.neededBytes);
        expect(twins.table.allocatedBytes).toBeLessThanOrEqual(twins.table.bytesMax);
      }),
    );
  });

  it("gives each chunk back as soon as its groups were emptied, and has all keys that are left", () => {
    fc.assert(
      fc.property(sizes, fc.array(hash, { maxLength: 300, size: "max" }), (size, hashes) => {
        const twins = new Twins(size);
        const { table } = twins;
        for (const one of hashes) twins.add(one);
        expect(table.allocatedBytes).toBe(twins.neededBytes);
        let first = 0;
        while (first < table.groups && table.isPassed((first + table.groups - 1) % table.groups)) first++;
        // Where every group is passed there is no place to begin at.
        if (first === table.groups) return;
        let at = first;
        do {
          at = twins.clearRun(at);
          twins.check();
          expect(table.allocatedBytes).toBe(twins.neededBytes);
        } while (at !== first);
        expect([table.size, twins.model.size]).toEqual([0, 0]);
      }),
    );
  });

  it("finds keys behind a group that more keys passed than it can count, and goes on to when these are gone", () => {
    const twins = new Twins({ groups: 60, chunkGroupsMax: 8 });
    for (let i = 0; i < 600; i++) twins.add(i % 3);
    twins.check();
    while (twins.model.size > 5) twins.remove(0);
    twins.check();
    expect(twins.table.isPassed(0)).toBe(true);
    for (let i = 0; i < 100; i++) twins.add(0);
    twins.check();
  });

  it("takes no key for which there is no slot", () => {
    const twins = new Twins({ groups: 1, chunkGroupsMax: 1 });
    for (let i = 0; i < SLOTS; i++) twins.add(i);
    expect(() => twins.table.add(1, 99)).toThrow("an empty slot");
    twins.check();
  });

  it("says beforehand how large it can become at most", () => {
    fc.assert(
      fc.property(sizes, ({ groups, chunkGroupsMax }) => {
        const table = new HashTable(groups, chunkGroupsMax);
        expect(HashTable.bytesFor(groups, chunkGroupsMax)).toBeGreaterThanOrEqual(table.bytesMax);
        for (let i = 0; i < table.slots; i++) table.add(Math.floor((i / table.slots) * 2 ** 32) | 0, i + 1);
        expect(table.allocatedBytes).toBe(table.bytesMax);
      }),
    );
  });
});
