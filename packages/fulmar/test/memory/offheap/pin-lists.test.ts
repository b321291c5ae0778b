import { expect, it } from "vitest";
import { LATEST } from "../../../src/memory/engine.js";
import { NodePool } from "../../../src/memory/offheap/node-pool.js";
import { PinSet } from "../../../src/memory/offheap/pins.js";
import type { RefQueue } from "../../../src/memory/offheap/ref-queue.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";

it("uses the list of a pinned version again only if nothing is in it", () => {
  const released: RefQueue[] = [];
  const pins = new PinSet(new NodePool(DEFAULT_SHAPE), (held) => released.push(held));
  const first = pins.pin(1, "user");
  pins.highest(1, LATEST)?.held.push(7);
  first.release();
  const second = pins.pin(2, "user");
  expect([...(pins.highest(2, LATEST)?.held ?? [])]).toEqual([]);
  expect(released.map((held) => [...held])).toEqual([[7]]);
  second.release();
  // Two at the same time have two lists, although only one was left over.
  pins.pin(3, "user");
  pins.pin(4, "user");
  pins.highest(3, 4)?.held.push(8);
  expect([...(pins.highest(4, LATEST)?.held ?? [])]).toEqual([]);
});
