import { expect, it } from "vitest";
import { ReadSet } from "../../../src/transaction/optimistic/read-set.js";

const bytes = (name: string): Uint8Array => new TextEncoder().encode(name);

it("a read set has the keys that were read, and those of ranges as far as they were", () => {
  const reads = new ReadSet();
  reads.point(bytes("p"), 0);
  const range = reads.range({ from: bytes("b"), to: bytes("f") }, false, [bytes("c")]);
  expect(["p", "q", "b"].map((name) => reads.has(bytes(name)))).toEqual([true, false, false]);
  range.through(bytes("d"));
  const has = (...names: string[]): string[] => names.filter((name) => reads.has(bytes(name)));
  expect(has("a", "b", "c", "d", "e", "f", "p")).toEqual(["b", "d", "p"]);
  range.toEnd();
  expect(has("a", "b", "c", "d", "e", "f", "p")).toEqual(["b", "d", "e", "p"]);
});
