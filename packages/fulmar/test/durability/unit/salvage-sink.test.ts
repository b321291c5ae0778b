import { beforeEach, expect, test } from "vitest";
import { ADOPTED_NUMBERS_MAX } from "../../../src/base/limits.js";
import { SalvageSink } from "../../../src/durability/salvage-sink.js";
import { hlcOf, originOf, seqOf } from "../../../src/record/entry.js";
import { contents, machine } from "../harness.js";
import { entryOf, type Item } from "./checkpoint-bytes.js";

let sink: SalvageSink;

beforeEach(() => {
  sink = new SalvageSink(machine().runtime);
});

/** What an entry became. */
function add(version: number, item: Item): { origin: number; seq: number; hlc: number } {
  const bytes = entryOf(item);
  sink.add(version, bytes, 0, bytes.length);
  return { origin: originOf(bytes, 0), seq: seqOf(bytes, 0), hlc: hlcOf(bytes, 0) };
}

const item = (key: string, hlc: number, origin = 2): Item => ({ key, value: key, hlc, origin });

test("entries become commits of one new writer, and those of one version and one time share a number", () => {
  expect([sink.seq, sink.hlc, sink.version, sink.timesLost, sink.origins.size]).toEqual([0, 0, 0, 0, 1]);
  expect(sink.origins.id(1)).toBe(sink.incarnation);
  const made = [
    add(5, item("a", 10, 3)),
    add(5, item("b", 10)),
    add(5, item("c", 20)),
    add(6, item("d", 20)),
    add(6, item("e", 7)),
    add(6, item("f", 7)),
  ];
  expect(made).toEqual([
    { origin: 1, seq: 1, hlc: 10 },
    { origin: 1, seq: 1, hlc: 10 },
    { origin: 1, seq: 2, hlc: 20 },
    { origin: 1, seq: 3, hlc: 20 },
    { origin: 1, seq: 4, hlc: 7 },
    { origin: 1, seq: 4, hlc: 7 },
  ]);
  expect([sink.seq, sink.hlc, sink.version]).toEqual([4, 20, 6]);
  expect([...contents(sink.engine).keys()]).toEqual(["a", "b", "c", "d", "e", "f"]);
});

test("a time that no store reaches counts as the newest before it, and is counted", () => {
  add(1, item("a", ADOPTED_NUMBERS_MAX));
  expect([sink.hlc, sink.timesLost]).toEqual([ADOPTED_NUMBERS_MAX, 0]);
  sink = new SalvageSink(machine().runtime);
  add(1, item("a", 50));
  add(2, item("b", 9));
  expect(add(3, item("c", ADOPTED_NUMBERS_MAX + 1)).hlc).toBe(50);
  expect(add(4, item("d", 2 ** 53)).hlc).toBe(50);
  expect([sink.hlc, sink.timesLost]).toEqual([50, 2]);
});

test("a deletion stays, and what it deleted does not", () => {
  add(1, item("a", 1));
  add(2, { key: "a", hlc: 2 });
  sink.settle();
  expect([contents(sink.engine).size, sink.engine.usage().tombstones, sink.engine.settled]).toEqual([
    0, 1, 2,
  ]);
});

test("what was overwritten is let go of on the way, but not what may still be joined", () => {
  for (let i = 1; i < 4096; i++) add(i, item("k", i));
  expect(sink.engine.settled).toBe(0);
  add(4096, item("k", 4096));
  expect(sink.engine.settled).toBe(4095);
  for (let i = 1; i <= 4096; i++) add(5000, item(`k${i}`, i));
  expect(sink.engine.settled).toBe(4999);
  add(5000, item("last", 1));
  expect(sink.engine.settled).toBe(4999);
  sink.settle();
  expect(sink.engine.settled).toBe(5000);
});
