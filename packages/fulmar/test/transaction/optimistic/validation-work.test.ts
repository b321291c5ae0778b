import { describe, expect, it } from "vitest";
import { type Cursor, LATEST, type MemoryEngine } from "../../../src/memory/engine.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { keyOf } from "../../../src/record/entry.js";
import { ReadSet } from "../../../src/transaction/optimistic/read-set.js";
import { Trail } from "../../../src/transaction/optimistic/trail.js";
import { readConflicts, writeConflicts } from "../../../src/transaction/optimistic/validation.js";
import { entry, quickHash } from "../../memory/fixtures.js";

/** A store, and what others and the transaction do there. */
interface Case {
  readonly stored: number;
  readonly read: number;
  /** Commits of others since the transaction began, of keys that it has not read. */
  readonly commits: number;
}

const STORED = [500, 4000];

/** Keys that all have one length, in order. */
function keyAt(index: number): Uint8Array {
  return Uint8Array.of(index >>> 16, (index >>> 8) & 0xff, index & 0xff);
}

/** What validation asked of the memory engine, and how many keys of others it was shown. */
class Work {
  found = 0;
  stepped = 0;
  shown = 0;

  /** Steps that grow with something. */
  get total(): number {
    return this.found + this.stepped + this.shown;
  }
}

class CountingTrail extends Trail {
  readonly #work: Work;

  constructor(work: Work) {
    super();
    this.#work = work;
  }

  override since(version: number, most: number): Uint8Array[] | undefined {
    const keys = super.since(version, most);
    this.#work.shown += keys?.length ?? 0;
    return keys;
  }
}

function counting(engine: MemoryEngine, work: Work): MemoryEngine {
  return new Proxy(engine, {
    get(target, name): unknown {
      if (name === "find") {
        return (...args: Parameters<MemoryEngine["find"]>) => {
          work.found++;
          return target.find(...args);
        };
      }
      if (name === "scan") {
        return (...args: Parameters<MemoryEngine["scan"]>): Cursor => {
          const cursor = target.scan(...args);
          return {
            next: () => {
              work.stepped++;
              return cursor.next();
            },
          };
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function put(engine: MemoryEngine, version: number, index: number): void {
  const bytes = entry(keyAt(index), { seq: version, value: Uint8Array.of(1) });
  engine.put(version, bytes, 0, bytes.length);
}

/** The work of validating what `note` says was read of the first keys, while others write the last ones. */
function workOf({ stored, read, commits }: Case, note: (engine: MemoryEngine, reads: ReadSet) => void): Work {
  const work = new Work();
  const engine = createPlainEngine({ hash: quickHash });
  for (let index = 0; index < stored; index++) put(engine, 1, index);
  engine.settle(1);
  const trail = new CountingTrail(work);
  trail.follow(1);
  const reads = new ReadSet();
  note(engine, reads);
  expect(read + commits).toBeLessThan(stored);
  for (let version = 2; version < 2 + commits; version++) {
    const index = stored + 1 - version;
    put(engine, version, index);
    engine.settle(version);
    trail.add(version, [{ key: keyAt(index) }]);
  }
  expect(readConflicts({ engine: counting(engine, work), trail, since: 1 }, reads)).toEqual([]);
  return work;
}

/** Reads so many keys one by one. */
function pointsOf(read: number) {
  return (_: MemoryEngine, reads: ReadSet): void => {
    for (let index = 0; index < read; index++) reads.point(keyAt(index), 1);
  };
}

/** Reads so many entries of everything there is, as a listing that is left early does. */
function listingOf(read: number) {
  return (engine: MemoryEngine, reads: ReadSet): void => {
    const range = reads.range({ from: keyAt(0), to: undefined }, false);
    const cursor = engine.scan({ from: keyAt(0), to: undefined }, LATEST, false);
    for (let count = 0; count < read; count++) {
      const ref = cursor.next();
      range.through(keyOf(engine.slab(ref), engine.offset(ref)));
    }
  };
}

describe("the work of validation", () => {
  it("is nothing when nobody has committed since", () => {
    for (const stored of STORED) {
      for (const note of [pointsOf(100), listingOf(100)]) {
        expect(workOf({ stored, read: 100, commits: 0 }, note).total).toBe(0);
      }
    }
  });

  it("is nothing for what is written, either, when nobody has committed since", () => {
    const work = new Work();
    const engine = createPlainEngine({ hash: quickHash });
    put(engine, 1, 0);
    engine.settle(1);
    const validation = { engine: counting(engine, work), trail: new Trail(), since: 1 };
    expect(writeConflicts(validation, [keyAt(0), keyAt(1)])).toEqual([]);
    expect(work.total).toBe(0);
  });

  it("is one search for each key that was read, however large the store is, and whatever was committed since", () => {
    for (const stored of STORED) {
      for (const read of [1, 100]) {
        for (const commits of [1, 50, 300]) {
          const { found, total } = workOf({ stored, read, commits }, pointsOf(read));
          expect({ stored, read, commits, found, total }).toMatchObject({ found: read, total: read });
        }
      }
    }
  });

  it("is one look at each key committed since for a range, or to read it again if that is less", () => {
    for (const stored of STORED) {
      for (const read of [1, 100]) {
        for (const commits of [1, 50, 300]) {
          const { shown, stepped, total } = workOf({ stored, read, commits }, listingOf(read));
          const expected = commits <= read ? { shown: commits, stepped: 0 } : { shown: 0, stepped: read + 1 };
          expect({ stored, read, commits, shown, stepped }).toMatchObject(expected);
          expect(total).toBeLessThanOrEqual(read + 1);
        }
      }
    }
  });

  it("is one search for each key that is written, with snapshot isolation", () => {
    for (const stored of STORED) {
      const work = new Work();
      const engine = createPlainEngine({ hash: quickHash });
      for (let index = 0; index < stored; index++) put(engine, 1, index);
      put(engine, 2, stored);
      engine.settle(2);
      const validation = { engine: counting(engine, work), trail: new Trail(), since: 1 };
      expect(writeConflicts(validation, [keyAt(3), keyAt(5), keyAt(stored + 1)])).toEqual([]);
      expect(work.total).toBe(3);
    }
  });
});
