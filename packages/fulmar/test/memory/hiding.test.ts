import { describe, expect, it } from "vitest";
import { ALL_KEYS } from "../../src/keys/range.js";
import { equalDigests } from "../../src/memory/digest.js";
import { LATEST, type MemoryEngine, NONE } from "../../src/memory/engine.js";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { createPlainEngine } from "../../src/memory/plain/engine.js";
import { ascii, bytesOf, drain, entry, hash, ordered, put, read } from "./fixtures.js";

const invariant = expect.objectContaining({ code: "INVARIANT" });

describe.each([
  ["plain", createPlainEngine],
  ["off-heap", createEngine],
])("the %s engine, while it hides", (_, create) => {
  const [old, gone, fresh] = ["old", "gone", "fresh"].map(ascii);

  /** Three hidden changes above two settled entries, once nobody sees the difference. */
  function hiding(): MemoryEngine {
    const engine = ordered(create({ hash }));
    engine.keepTombstones = true;
    put(engine, 1, entry(old, { seq: 1, value: bytesOf(1) }));
    put(engine, 2, entry(gone, { seq: 2, value: bytesOf(2) }));
    engine.settle(2);
    const before = seen(engine);
    engine.hide();
    put(engine, 5, entry(old, { seq: 5, origin: 2, value: bytesOf(5) }));
    put(engine, 5, entry(gone, { seq: 5, origin: 2 }));
    put(engine, 5, entry(fresh, { seq: 5, origin: 2, value: bytesOf(5) }));
    expect(seen(engine)).toEqual(before);
    return engine;
  }

  const seen = (engine: MemoryEngine) => ({
    version: engine.version,
    found: [old, gone, fresh]
      .map((key) => engine.find(key, LATEST))
      .map((ref) => ref !== NONE && read(engine, ref)),
    listed: [false, true].map((reverse) => drain(engine, engine.scan(ALL_KEYS, LATEST, reverse))),
    written: [1, 2].map((origin) => drain(engine, engine.byOrigin(origin, 0, LATEST, LATEST))),
    digest: engine.digest(ALL_KEYS, LATEST),
  });

  it("shows nothing of it before, and all of it afterwards", () => {
    const engine = hiding();
    const pin = engine.pin(2);
    const [{ digest }, pinned] = [seen(engine), engine.digest(ALL_KEYS, 2)];
    expect(equalDigests(digest, pinned)).toBe(true);
    engine.show();
    expect(engine.version).toBe(5);
    expect(drain(engine, engine.byOrigin(2, 0, LATEST, LATEST))).toHaveLength(3);
    expect(read(engine, engine.find(fresh, LATEST)).at(-1)).toBe(5);
    expect(read(engine, engine.find(old, pin.version)).at(-1)).toBe(1);
    expect(equalDigests(engine.digest(ALL_KEYS, LATEST), digest)).toBe(false);
    engine.settle(5);
    engine.verify();
    pin.release();
    expect(engine.usage()).toMatchObject({ entries: 2, tombstones: 1, oldVersions: 0 });
  });

  it("forgets it in a rollback, and hides nothing from then on", () => {
    const engine = hiding();
    const before = seen(engine);
    engine.rollback(2);
    expect([engine.isHiding, seen(engine)]).toEqual([false, before]);
    expect(engine.usage()).toMatchObject({ entries: 2, tombstones: 0, oldVersions: 0 });
    put(engine, 6, entry(fresh, { seq: 6, value: bytesOf(6) }));
    expect(read(engine, engine.find(fresh, LATEST)).at(-1)).toBe(6);
    engine.verify();
  });

  it("refuses what would show, keep or lose a part of it", () => {
    const engine = hiding();
    expect(() => engine.hide()).toThrow(invariant);
    expect(() => engine.pin(5)).toThrow(invariant);
    expect(() => engine.settle(5)).toThrow(invariant);
    expect(() => engine.rollback(5)).toThrow(invariant);
    engine.show();
    expect(() => engine.show()).toThrow(invariant);
    const tracked = create({ hash, tracked: true });
    const ignore = (): void => undefined;
    tracked.track({ makeRoom: ignore, entered: ignore, replaced: ignore, moved: ignore, left: ignore });
    expect(() => tracked.hide()).toThrow(invariant);
  });
});
