import { describe, expect, it } from "vitest";
import { Records } from "../../../src/memory/offheap/records.js";
import { RefList } from "../../../src/memory/offheap/ref-list.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";
import { ascii, entry } from "../fixtures.js";
import { scarcity } from "../scarce.js";
import { SMALL } from "./shapes.js";

describe("a list of references", () => {
  it("keeps its order while discarded ones are swept out and others come", () => {
    const records = new Records({ ...DEFAULT_SHAPE, ...SMALL });
    const list = new RefList();
    const bytes = entry(ascii("k"));
    const refs = Array.from({ length: 50_000 }, () => records.add(1, 0, bytes, 0, bytes.length));
    const discarded = new Set<number>();
    for (const [i, ref] of refs.entries()) {
      list.push(ref);
      const other = refs[(i * 31) % (i + 1)];
      if (i % 3 !== 0 || discarded.has(other)) continue;
      records.discard(other);
      discarded.add(other);
      list.sweep(records, 5);
      if (i % 999 !== 0) continue;
      const found = Array.from({ length: list.size }, (_, at) => list.at(at));
      const present = new Set(found);
      expect(found.length - (i + 1 - discarded.size)).toBeLessThan(0.4 * i + 5);
      expect(found).toEqual(refs.slice(0, i + 1).filter((each) => !discarded.has(each) || present.has(each)));
    }
    expect(records.arena.verify()).toBe(list.size);
  });

  it("is swept in rounds: each passes as many as it is told, or what is left of them", () => {
    const records = new Records({ ...DEFAULT_SHAPE, ...SMALL });
    const list = new RefList();
    const bytes = entry(ascii("k"));
    const refs = Array.from({ length: 10 }, () => records.add(1, 0, bytes, 0, bytes.length));
    const found = (): number[] => Array.from({ length: list.size }, (_, at) => refs.indexOf(list.at(at)));
    for (const ref of refs) list.push(ref);
    for (const i of [1, 3, 9]) records.discard(refs[i]);
    list.sweep(records, 3);
    expect(found()).toEqual([0, 2, 3, 4, 5, 6, 7, 8, 9]);
    list.sweep(records, 1);
    expect(found()).toEqual([0, 2, 4, 5, 6, 7, 8, 9]);
    // What is discarded where this round has been has to wait for the next.
    records.discard(refs[0]);
    list.sweep(records, 100);
    expect(found()).toEqual([0, 2, 4, 5, 6, 7, 8]);
    list.sweep(records, 1);
    expect(found()).toEqual([2, 4, 5, 6, 7, 8]);
    list.clear();
    expect(found()).toEqual([]);
    list.push(refs[8]);
    list.sweep(records, 1);
    expect(found()).toEqual([8]);
  });

  it("takes memory for thousands at a time, and has what it had where there is none for more", () => {
    const list = new RefList();
    scarcity(1);
    let size = 0;
    expect(() => {
      for (; size < 100_000; size++) list.push(size + 1);
    }).toThrow(RangeError);
    expect([list.size, list.at(0), list.at(size - 1)]).toEqual([size, 1, size]);
    expect(size).toBeGreaterThan(1000);
  });
});
