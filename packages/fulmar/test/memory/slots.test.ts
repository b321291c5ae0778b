import { describe, expect, it } from "vitest";
import { LATEST } from "../../src/memory/engine.js";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { createPlainEngine } from "../../src/memory/plain/engine.js";
import { ascii, bytesOf, entry, hash, put } from "./fixtures.js";

const invariant = expect.objectContaining({ code: "INVARIANT" });

describe.each([
  ["plain", createPlainEngine],
  ["off-heap", createEngine],
])("slots of the %s engine", (_, create) => {
  it("stay with their key, from version to version and back, and are 0 for a new one", () => {
    const engine = create({ hash, tracked: true });
    const key = ascii("k");
    const slot = (at = LATEST): number => engine.slot(engine.find(key, at));
    put(engine, 1, entry(key, { seq: 1, value: bytesOf(1) }));
    expect(slot()).toBe(0);
    engine.setSlot(engine.find(key, LATEST), 7);
    put(engine, 2, entry(key, { seq: 2, value: new Uint8Array(500) }));
    expect(slot()).toBe(7);
    engine.setSlot(engine.find(key, LATEST), 0xffffffff);
    put(engine, 2, entry(key, { seq: 2 }));
    expect([slot(), slot(1)]).toEqual([0xffffffff, 7]);
    engine.rollback(1);
    expect(slot()).toBe(0xffffffff);
    put(engine, 2, entry(key, { seq: 3 }));
    engine.settle(2);
    expect(engine.usage().tombstones).toBe(0);
    put(engine, 3, entry(key, { seq: 4, value: bytesOf(1) }));
    expect(slot()).toBe(0);
    engine.verify();
  });

  it("are there only when they were asked for", () => {
    const engine = create({ hash });
    put(engine, 1, entry(ascii("k"), { value: bytesOf(1) }));
    const ref = engine.find(ascii("k"), LATEST);
    expect(engine.slot(ref)).toBe(0);
    expect(() => engine.setSlot(ref, 1)).toThrow(invariant);
  });
});
