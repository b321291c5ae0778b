import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { LATEST, NONE } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { NodePool } from "../../../src/memory/offheap/node-pool.js";
import { QUEUED, SUPERSEDED } from "../../../src/memory/offheap/record-marks.js";
import { Records } from "../../../src/memory/offheap/records.js";
import { RefQueue } from "../../../src/memory/offheap/ref-queue.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";
import { ORIGIN_NUMBER_MAX } from "../../../src/record/entry.js";
import { ascii, bytesOf, drain, entry, hash, load, ordered, put, quickHash, shown } from "../fixtures.js";
import { SMALL, SMALLEST } from "./shapes.js";

const invariant = expect.objectContaining({ code: "INVARIANT" });

describe("off-heap engine", () => {
  it("keeps versions and numbers of 53 bits", () => {
    const engine = createEngine({ hash });
    const version = Number.MAX_SAFE_INTEGER - 1;
    put(engine, 2 ** 40 + 5, entry(ascii("a"), { seq: 2 ** 40, value: bytesOf(1) }));
    put(
      engine,
      version,
      entry(ascii("b"), { seq: version, deadline: version, value: bytesOf(2), origin: ORIGIN_NUMBER_MAX }),
    );
    expect(engine.versionOf(engine.find(ascii("a"), LATEST))).toBe(2 ** 40 + 5);
    expect(engine.versionOf(engine.find(ascii("b"), LATEST))).toBe(version);
    expect(engine.find(ascii("b"), version - 1)).toBe(NONE);
    expect(
      drain(engine, ordered(engine).byOrigin(ORIGIN_NUMBER_MAX, version - 1, LATEST, LATEST)).length,
    ).toBe(1);
    expect(drain(engine, engine.byOrigin(ORIGIN_NUMBER_MAX, version, LATEST, LATEST)).length).toBe(0);
    expect(engine.nextDeadline()).toBe(version);
    engine.settle(version);
    engine.verify();
  });

  it("refuses to go on with a cursor whose version nobody pins", () => {
    const engine = createEngine({ hash });
    for (const key of ["a", "b", "c"]) put(engine, 1, entry(ascii(key), { deadline: 5, value: bytesOf(1) }));
    const cursors = [
      engine.scan(ALL_KEYS, LATEST, false),
      ordered(engine).byOrigin(1, 0, LATEST, LATEST),
      engine.byDeadline(9),
    ];
    for (const cursor of cursors) expect(cursor.next()).not.toBe(NONE);
    put(engine, 2, entry(ascii("d"), { deadline: 5, value: bytesOf(1) }));
    for (const cursor of cursors) expect(() => cursor.next()).toThrow(invariant);
  });

  it("keeps a tombstone that is not settled, when a rollback uncovers it", () => {
    const engine = createEngine({ hash });
    put(engine, 1, entry(ascii("k")));
    put(engine, 2, entry(ascii("k"), { value: bytesOf(1) }));
    engine.rollback(1);
    expect(engine.usage()).toMatchObject({ entries: 0, tombstones: 1 });
    engine.verify();
    engine.settle(1);
    expect(engine.usage()).toMatchObject({ entries: 0, tombstones: 0 });
    engine.verify();
  });

  it("lets go of a bounded number of records at a time, and of all in the end", () => {
    const engine = createEngine({ hash: quickHash, shape: { vacuumAtOnce: 10 } });
    const write = (version: number, count = 1000): void => {
      for (let i = 0; i < count; i++) put(engine, version, entry(ascii(`key ${i}`), { value: bytesOf(1) }));
    };
    const old = (): number => engine.usage().oldVersions;
    write(1);
    engine.settle(1);
    while (engine.vacuum(100));
    const pin = engine.pin(1);
    write(2);
    engine.settle(2);
    while (engine.vacuum(100));
    expect(old()).toBe(1000);
    pin.release();
    expect(old()).toBe(990);
    expect(engine.vacuum(100)).toBe(true);
    expect(old()).toBe(890);
    // Each write lets go of two, so that writing does not outrun it, and leaves one un-settled.
    write(3, 200);
    expect(old()).toBe(890 - 400 + 200);
    engine.rollback(2);
    expect(old()).toBe(490);
    engine.verify();
    write(3);
    expect(old()).toBe(1000);
    engine.settle(3);
    expect(old()).toBe(990);
    expect(engine.vacuum(989)).toBe(true);
    expect([engine.vacuum(1), engine.vacuum(1), old()]).toEqual([false, false, 0]);
    engine.verify();
  });

  it("gives memory back, and uses what is left of one size for others", () => {
    const engine = createEngine({ hash: quickHash, shape: SMALL });
    const room = (): number => engine.usage().overheadBytes + engine.usage().recordBytes;
    let version = 0;
    const fill = (size: number): void => {
      for (let i = 0; i < 1000; i++) {
        put(engine, ++version, entry(ascii(`key ${i}`), { seq: version, value: new Uint8Array(size) }));
        engine.settle(version);
      }
    };
    fill(100);
    const first = room();
    for (const size of [30, 400, 10, 100]) fill(size);
    // Without another use for what was freed it would be the sum of all sizes: six times as much.
    expect(room()).toBeLessThan(1.2 * first);
    for (let i = 0; i < 1000; i++) put(engine, version + 1, entry(ascii(`key ${i}`)));
    engine.settle(version + 1);
    while (engine.vacuum(1000));
    // Everything goes, but a spare slab and a spare chunk of nodes for each tree.
    expect(room()).toBeLessThan(30_000);
    engine.verify();
  });

  it("never works long on one change, however many keys there are", () => {
    const engine = createEngine({ hash: quickHash });
    let version = 0;
    const before = engine.usage().overheadBytes;
    let stepMax = 0;
    let last = before;
    for (let i = 0; i < 60_000; i++) {
      put(engine, ++version, entry(ascii(`key ${(i * 7919) % 60_000}`), { seq: version, value: bytesOf(1) }));
      engine.settle(version);
      const { overheadBytes } = engine.usage();
      if (i > 0) stepMax = Math.max(stepMax, overheadBytes - last);
      last = overheadBytes;
    }
    // No array is allocated that grows with the number of keys, but the chunks of a slab, a table or a pool.
    expect(stepMax).toBeLessThanOrEqual(17 * 2 ** 20);
  });

  it("loads in order into full nodes", () => {
    const engine = createEngine({ hash: quickHash, shape: SMALLEST });
    const loader = engine.load();
    const keys = Array.from({ length: 500 }, (_, i) => ascii(String(i).padStart(5, "0")));
    for (const [i, key] of keys.entries()) {
      const bytes = entry(key, i % 3 === 0 ? { seq: 500 - i } : { seq: 500 - i, value: key });
      load(loader, [1 + i, bytes]);
    }
    loader.finish(1000);
    engine.verify();
    expect(engine.usage()).toMatchObject({ entries: 333, tombstones: 0 });
    for (const [i, key] of keys.entries()) {
      expect(shown(engine, engine.find(key, LATEST)).startsWith(i % 3 === 0 ? "none" : `${i + 1} `)).toBe(
        true,
      );
    }
  });
});

describe("records", () => {
  const key = ascii("a key of sixteen".slice(0, 16));
  const bytes = entry(key, { value: new Uint8Array(100) });

  it.each([
    [false, 152],
    [true, 160],
  ])(
    "take a cell as small as it can be (tracked: %s), replaced ones and replacing ones too",
    (tracked, size) => {
      const records = new Records(DEFAULT_SHAPE, tracked);
      const refs = Array.from({ length: 3 }, (_, i) => records.add(i + 1, 0, bytes, 0, bytes.length));
      expect([8 * (refs[1] - refs[0]), 8 * (refs[2] - refs[1])]).toEqual([size, size]);
      records.setOlder(refs[1], refs[0]);
      expect(records.add(9, 0, bytes, 0, bytes.length) - refs[2]).toBe(size / 8);
    },
  );

  it("keep version, marks and key while what they replaced comes, changes and goes", () => {
    const records = new Records(DEFAULT_SHAPE, true);
    const version = 2 ** 52 + 2 ** 31 + 7;
    const ref = records.add(version, QUEUED, bytes, 0, bytes.length);
    records.setSlot(ref, 0xffffffff);
    const older = [NONE, 0xfffffffe, 5, NONE, NONE, 7];
    for (const [i, other] of older.entries()) {
      records.setOlder(ref, other);
      expect(records.links.used).toBe(other === NONE ? 0 : 1);
      if (i === 2) records.raise(ref, SUPERSEDED);
      if (i === 4) records.lower(ref, QUEUED);
      expect([records.older(ref), records.versionOf(ref), records.slotOf(ref)]).toEqual([
        other,
        version,
        0xffffffff,
      ]);
      expect([records.has(ref, QUEUED), records.has(ref, SUPERSEDED)]).toEqual([i < 4, i >= 2]);
      expect(records.hasKey(ref, key, 0, key.length)).toBe(true);
    }
    records.lower(ref, SUPERSEDED);
    records.free(ref);
    expect(records.links.used).toBe(0);
    records.links.verify();
  });
});

describe("reference queue", () => {
  it("gives what was put in, from both ends, and holds no page it does not need", () => {
    const steps = fc.array(fc.constantFrom("push", "push", "push", "shift", "pop"), {
      maxLength: 300,
      size: "max",
    });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 40 }), (sequence, burst) => {
        const pool = new NodePool({ ...DEFAULT_SHAPE, ...SMALLEST, nodeWords: 4 });
        const queue = new RefQueue(pool);
        const model: number[] = [];
        for (const [i, step] of sequence.entries()) {
          // Bursts empty the queue now and then.
          const isDraining = Math.floor(i / burst) % 2 === 1;
          if (step === "push" && !isDraining) {
            queue.push(i + 1);
            model.push(i + 1);
          } else if (model.length > 0 && step === "pop") {
            queue.pop();
            model.pop();
          } else if (model.length > 0) {
            queue.shift();
            model.shift();
          }
          expect([queue.size, queue.first(), queue.last()]).toEqual([
            model.length,
            model[0] ?? 0,
            model.at(-1) ?? 0,
          ]);
          expect([...queue]).toEqual(model);
          expect(pool.used).toBe(queue.pages);
          expect(pool.used).toBeLessThanOrEqual(model.length / 2 + 1);
          pool.verify();
        }
      }),
      { numRuns: 100 },
    );
  });
});
