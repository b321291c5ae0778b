import { expect, it } from "vitest";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { ascii, bytesOf, entry, put, quickHash } from "../fixtures.js";
import { SMALL } from "../offheap/shapes.js";
import { SteppedReader } from "./fixture.js";

const KEYS = 400;
const BEFORE = 1;
const EMPTY = 5;
const HIDDEN = 10;

it("that is hidden no reader on another thread sees before it is settled, whatever is settled before", () => {
  const sharing = new Sharing({ stepBytes: 1 });
  const engine = createEngine({ hash: quickHash, shape: SMALL, secret: [1, 2], sharing });
  engine.keepTombstones = true;
  const name = (i: number): Uint8Array => ascii(`key ${i}`);
  for (let i = 0; i < KEYS; i += 2) put(engine, BEFORE, entry(name(i), { seq: i + 1, value: bytesOf(1) }));
  engine.settle(BEFORE);
  const reader = new SteppedReader(sharing);
  const before = reader.scan(ALL_KEYS, false);
  expect(before).toHaveLength(KEYS / 2);
  const isAsBefore = (): void => {
    expect(reader.scan(ALL_KEYS, false)).toEqual(before);
    expect(reader.scan(ALL_KEYS, true)).toEqual(before.toReversed());
    expect([reader.find(name(1)), reader.find(name(0))]).toEqual(["none", before[0]]);
  };
  engine.hide();
  for (let i = 0; i < KEYS; i++) {
    const stamp = { seq: i + 1, origin: 2 };
    put(engine, HIDDEN, entry(name(i), i % 4 === 0 ? stamp : { ...stamp, value: bytesOf(2) }));
    if (i % 50 === 0) isAsBefore();
  }
  // A commit without entries from before: those who come now are shown a newer version, and the same as ever.
  engine.settle(EMPTY);
  reader.refresh();
  expect(reader.version).toBe(EMPTY);
  isAsBefore();
  engine.show();
  reader.refresh();
  isAsBefore();
  engine.settle(HIDDEN);
  isAsBefore();
  reader.refresh();
  expect(reader.version).toBe(HIDDEN);
  expect(reader.scan(ALL_KEYS, false)).toHaveLength((KEYS * 3) / 4);
  engine.verify();
});
