import { expect, it } from "vitest";
import { LATEST } from "../../../src/memory/engine.js";
import { NodePool } from "../../../src/memory/offheap/node-pool.js";
import { PinSet } from "../../../src/memory/offheap/pins.js";
import type { RefQueue } from "../../../src/memory/offheap/ref-queue.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";

/** Pins of which the lists that are let go are told, and whenever one is that kept records where they are. */
function pinSet(released: (held: RefQueue) => void, loosened = (): void => undefined): PinSet {
  return new PinSet(new NodePool(DEFAULT_SHAPE), released, loosened);
}

it("uses the list of a pinned version again only if nothing is in it", () => {
  const released: RefQueue[] = [];
  const pins = pinSet((held) => released.push(held));
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

it("lets go of what a version holds when no pin of it keeps records where they are any more", () => {
  const released: RefQueue[] = [];
  const pins = pinSet((held) => released.push(held));
  const [anchor, loose] = [pins.pin(1, "store"), pins.pin(1, "reader")];
  pins.highest(1, LATEST)?.held.push(7);
  anchor.release();
  expect(released.map((held) => [...held])).toEqual([[7]]);
  pins.highest(1, LATEST)?.held.push(8);
  loose.release();
  expect(released.map((held) => [...held])).toEqual([[7], [8]]);
});

it("tells which versions are kept where they are, and when one no longer is", () => {
  let loosened = 0;
  const pins = pinSet(
    () => undefined,
    () => loosened++,
  );
  const anchored = (): unknown[] => [
    pins.anchoredFrom(0)?.version,
    pins.anchoredThrough,
    pins.isAnchored(5),
    pins.isAnchored(9),
    loosened,
  ];
  const loose = [pins.pin(5, "reader"), pins.pin(9, "reader")];
  expect(anchored()).toEqual([undefined, -1, false, false, 0]);
  const [first, second, later] = [pins.pin(5, "user"), pins.pin(5, "user"), pins.pin(6, "store")];
  expect(anchored()).toEqual([5, 6, true, false, 0]);
  later.release();
  expect(anchored()).toEqual([5, 5, true, false, 1]);
  first.release();
  first.release();
  expect(anchored()).toEqual([5, 5, true, false, 1]);
  second.release();
  expect(anchored()).toEqual([undefined, -1, false, false, 2]);
  expect(pins.highest(5, LATEST)?.version).toBe(9);
  for (const pin of loose) pin.release();
  expect([pins.isEmpty, loosened]).toEqual([true, 2]);
  const dropped = pins.pin(7, "user");
  pins.dropAbove(6);
  pins.pin(7, "reader");
  dropped.release();
  expect([...anchored(), pins.highest(7, LATEST)?.count]).toEqual([undefined, -1, false, false, 2, 1]);
});
