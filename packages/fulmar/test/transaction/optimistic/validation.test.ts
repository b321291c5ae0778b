import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes } from "../../../src/base/bytes.js";
import { inRange, type KeyRange, successor } from "../../../src/keys/range.js";
import { LATEST, type MemoryEngine, NONE } from "../../../src/memory/engine.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { type EntryFields, EVICTED, EXPIRED, keyOf, TOMBSTONE } from "../../../src/record/entry.js";
import { isInRanges, ReadSet } from "../../../src/transaction/optimistic/read-set.js";
import { Trail } from "../../../src/transaction/optimistic/trail.js";
import { readConflicts, writeConflicts } from "../../../src/transaction/optimistic/validation.js";
import { entry, quickHash } from "../../memory/fixtures.js";

const KEYS = 12;
const keyAt = (index: number): Uint8Array => Uint8Array.of(10 + index * 2);
const keyIndex = fc.nat(KEYS - 1);
const bound = fc.nat(KEYS * 2 + 4).map((n) => Uint8Array.of(8 + n));

type Write = { readonly index: number; readonly deleted: boolean };
const write = fc.record({ index: keyIndex, deleted: fc.boolean() });
const commits = fc.array(fc.array(write, { minLength: 1, maxLength: 3 }), { maxLength: 12 });
const scan = fc.record({
  from: bound,
  to: fc.option(bound, { nil: undefined }),
  reverse: fc.boolean(),
  stop: fc.nat(6),
  hidden: fc.uniqueArray(keyIndex, { maxLength: 3 }),
});

function apply(engine: MemoryEngine, version: number, writes: readonly Write[], trail: Trail): void {
  for (const { index, deleted } of writes) {
    const bytes = deleted
      ? entry(keyAt(index), { seq: version })
      : entry(keyAt(index), { seq: version, value: Uint8Array.of(version) });
    engine.put(version, bytes, 0, bytes.length);
  }
  engine.settle(version);
  if (trail.followed)
    trail.add(
      version,
      writes.map(({ index }) => ({ key: keyAt(index) })),
    );
}

/** Key and version of what is visible, tombstones included: what a reader could tell apart. */
function seen(engine: MemoryEngine, range: KeyRange, at: number): string[] {
  const lines: string[] = [];
  const cursor = engine.scan(range, at, false);
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
    lines.push(`${keyOf(engine.slab(ref), engine.offset(ref)).join()}@${engine.versionOf(ref)}`);
  }
  return lines;
}

/** Reads a range as far as `stop` entries, as a transaction would, and returns what part of it was seen. */
function consume(
  engine: MemoryEngine,
  reads: ReadSet,
  at: number,
  range: KeyRange,
  reverse: boolean,
  stop: number,
  hidden: readonly Uint8Array[],
): KeyRange[] {
  const read = reads.range(range, reverse);
  const onTheWay = (reverse ? hidden.toReversed() : hidden).filter((key) => inRange(key, range));
  const hideThrough = (key: Uint8Array | undefined): void => {
    const isPassed = (one: Uint8Array): boolean =>
      key === undefined || (reverse ? compareBytes(one, key) >= 0 : compareBytes(one, key) <= 0);
    while (onTheWay.length > 0 && isPassed(onTheWay[0])) read.hide(onTheWay.splice(0, 1)[0]);
  };
  const cursor = engine.scan(range, at, reverse);
  let last: KeyRange | undefined;
  for (let count = 0; count < stop; count++) {
    const ref = cursor.next();
    if (ref === NONE) {
      hideThrough(undefined);
      read.toEnd();
      reads.close(read);
      return without(range, hidden);
    }
    const key = keyOf(engine.slab(ref), engine.offset(ref));
    hideThrough(key);
    read.through(key);
    last = reverse ? { from: key, to: range.to } : { from: range.from, to: successor(key) };
  }
  return last === undefined ? [] : without(last, hidden);
}

/** A range but for some keys, of which each is taken out of every piece. */
function without(range: KeyRange, hidden: readonly Uint8Array[]): KeyRange[] {
  let pieces = [range];
  for (const key of hidden) {
    pieces = pieces.flatMap((piece) =>
      inRange(key, piece)
        ? [
            { from: piece.from, to: key },
            { from: successor(key), to: piece.to },
          ]
        : [piece],
    );
  }
  return pieces;
}

describe("validation", () => {
  it("finds a conflict exactly when something that was read has another version now", () => {
    fc.assert(
      fc.property(
        commits,
        commits,
        fc.array(keyIndex, { maxLength: 4 }),
        fc.array(scan, { maxLength: 3 }),
        fc.boolean(),
        (before, after, points, scans, followed) => {
          const engine = createPlainEngine({ hash: quickHash });
          const trail = new Trail();
          let version = 0;
          for (const writes of before) apply(engine, ++version, writes, trail);
          const since = engine.version;
          const pin = engine.pin(since);
          if (followed) trail.follow(since);
          const reads = new ReadSet();
          const areas: KeyRange[] = [];
          for (const index of points) {
            const ref = engine.find(keyAt(index), since);
            reads.point(keyAt(index), ref === NONE ? 0 : engine.versionOf(ref));
            areas.push({ from: keyAt(index), to: Uint8Array.of(...keyAt(index), 0) });
          }
          for (const { from, to, reverse, stop, hidden } of scans) {
            const keys = [...hidden].sort((a, b) => a - b).map(keyAt);
            areas.push(...consume(engine, reads, since, { from, to }, reverse, stop, keys));
          }
          for (const writes of after) apply(engine, ++version, writes, trail);
          const changed = areas.some((area) => {
            const then = seen(engine, area, since);
            const now = seen(engine, area, LATEST);
            return then.join() !== now.join();
          });
          // Nobody but the log of recent commits knows less than a scan does.
          const conflicts = readConflicts({ engine, trail: followed ? trail : new Trail(), since }, reads);
          expect(conflicts.length > 0).toBe(changed);
          for (const { key, expected, found } of conflicts) {
            expect(areas.some((area) => inRange(key, area))).toBe(true);
            const then = engine.find(key, since);
            expect(expected).toBe(then === NONE ? 0 : engine.versionOf(then));
            expect(found).toBe(engine.versionOf(engine.find(key, LATEST)));
            expect(found).toBeGreaterThan(since);
          }
          pin.release();
        },
      ),
      { numRuns: 400 },
    );
  });

  it("lets the first committer of a key win when only writes are validated", () => {
    const engine = createPlainEngine({ hash: quickHash });
    const trail = new Trail();
    apply(engine, 1, [{ index: 0, deleted: false }], trail);
    const pin = engine.pin(1);
    apply(engine, 2, [{ index: 1, deleted: false }], trail);
    const validation = { engine, trail, since: 1 };
    expect(writeConflicts(validation, [keyAt(0)])).toEqual([]);
    expect(writeConflicts(validation, [keyAt(0), keyAt(1)])).toEqual([
      { key: keyAt(1), expected: 0, found: 2 },
    ]);
    pin.release();
  });

  it("tells of a key once, in however many ways it was read and however often it changed", () => {
    const engine = createPlainEngine({ hash: quickHash });
    const [trail, forgetful] = [new Trail(), new Trail()];
    const write = { index: 3, deleted: false };
    apply(engine, 1, [write], trail);
    const pin = engine.pin(1);
    trail.follow(1);
    const reads = new ReadSet();
    const read = reads.range({ from: keyAt(0), to: undefined }, false);
    for (let index = 0; index < 4; index++) read.through(keyAt(index));
    for (const version of [2, 3]) apply(engine, version, [write], trail);
    const conflict = { key: keyAt(3), expected: 1, found: 3 };
    expect(readConflicts({ engine, trail, since: 1 }, reads)).toEqual([conflict]);
    reads.point(keyAt(3), 1);
    expect(readConflicts({ engine, trail, since: 1 }, reads)).toEqual([conflict]);
    expect(readConflicts({ engine, trail: forgetful, since: 1 }, reads)).toEqual([conflict]);
    pin.release();
  });

  it("reports a bounded number of conflicts, whatever was read or written", () => {
    const engine = createPlainEngine({ hash: quickHash });
    const everything = { from: new Uint8Array(0), to: undefined };
    const writes = Array.from({ length: 40 }, (_, index) => ({ index, deleted: false }));
    const [trail, forgetful] = [new Trail(), new Trail()];
    apply(engine, 1, writes, trail);
    const pin = engine.pin(1);
    trail.follow(1);
    const [points, range] = [new ReadSet(), new ReadSet()];
    const read = range.range(everything, false);
    for (const { index } of writes) {
      points.point(keyAt(index), 1);
      read.through(keyAt(index));
    }
    read.toEnd();
    apply(engine, 2, writes, trail);
    expect(readConflicts({ engine, trail, since: 1 }, points)).toHaveLength(16);
    expect(readConflicts({ engine, trail, since: 1 }, range)).toHaveLength(16);
    expect(readConflicts({ engine, trail: forgetful, since: 1 }, range)).toHaveLength(16);
    const keys = writes.map(({ index }) => keyAt(index));
    expect(writeConflicts({ engine, trail, since: 1 }, keys)).toHaveLength(16);
    pin.release();
  });
});

describe("a key that a transaction saw", () => {
  const key = keyAt(0);
  const stamp = { origin: 2, hlc: 30, seq: 4 };
  const logged = { ...stamp, flags: TOMBSTONE | EXPIRED };

  /** The version that each way of looking at the key finds in conflict with the first one. */
  function found(before: Partial<EntryFields> | undefined, now: Partial<EntryFields>): number[] {
    const engine = createPlainEngine({ hash: quickHash });
    const commit = (version: number, fields: Partial<EntryFields>): void => {
      const bytes = entry(key, fields);
      engine.put(version, bytes, 0, bytes.length);
      engine.settle(version);
    };
    if (before === undefined) engine.settle(1);
    else commit(1, { value: Uint8Array.of(1), ...before });
    const pin = engine.pin(1);
    const [point, range] = [new ReadSet(), new ReadSet()];
    point.point(key, before === undefined ? 0 : 1);
    const read = range.range({ from: new Uint8Array(0), to: undefined }, false);
    read.through(key);
    read.toEnd();
    const [trail, forgetful] = [new Trail(), new Trail()];
    trail.follow(1);
    // A value that somebody else has pinned leaves a trace of its end, whoever saw nothing before.
    if (before === undefined) commit(2, { value: Uint8Array.of(1), ...stamp });
    const other = engine.pin(engine.version);
    commit(3, now);
    trail.add(3, [{ key }]);
    const conflicts = [
      readConflicts({ engine, trail, since: 1 }, point),
      readConflicts({ engine, trail, since: 1 }, range),
      readConflicts({ engine, trail: forgetful, since: 1 }, range),
      writeConflicts({ engine, trail, since: 1 }, [key]),
    ];
    other.release();
    pin.release();
    return conflicts.flatMap((list) => list.map((conflict) => conflict.found));
  }

  it("has not changed when its end by its deadline was logged since", () => {
    expect(found(stamp, logged)).toEqual([]);
  });

  it.each<[what: string, before: Partial<EntryFields> | undefined, now: Partial<EntryFields>]>([
    ["the end of what another wrote was logged", stamp, { ...logged, origin: 3 }],
    ["the end of a later write was logged", stamp, { ...logged, seq: 5 }],
    ["the end of a write of another time was logged", stamp, { ...logged, hlc: 31 }],
    ["it was evicted", stamp, { ...stamp, flags: TOMBSTONE | EVICTED }],
    ["it was not there, and the end of what came since was logged", undefined, logged],
  ])("has changed when %s", (_, before, now) => {
    expect(found(before, now)).toEqual([3, 3, 3, 3]);
  });
});

describe("ranges of reads", () => {
  it("are joined into disjoint ones that hold the same keys", () => {
    fc.assert(
      fc.property(fc.array(scan, { maxLength: 6 }), (scans) => {
        const reads = new ReadSet();
        for (const { from, to } of scans) reads.range({ from, to }, false).toEnd();
        const joined = reads.ranges();
        for (let i = 1; i < joined.length; i++) {
          const end = joined[i - 1].to;
          expect(end !== undefined && compareBytes(end, joined[i].from) < 0).toBe(true);
        }
        for (let byte = 0; byte < 48; byte++) {
          const key = Uint8Array.of(byte);
          const inAny = scans.some(({ from, to }) => inRange(key, { from, to }));
          expect(isInRanges(key, joined), `${byte}`).toBe(inAny);
        }
      }),
    );
  });
});

describe("the trail of recent commits", () => {
  const changed = (index: number) => [{ key: keyAt(index) }];

  it("is kept only while somebody follows it", () => {
    const trail = new Trail();
    expect(trail.followed).toBe(false);
    trail.follow(5);
    trail.follow(6);
    trail.add(7, changed(1));
    trail.leave();
    expect(trail.followed).toBe(true);
    expect(trail.since(5, 9)).toEqual([keyAt(1)]);
    trail.leave();
    expect(trail.followed).toBe(false);
    expect(() => trail.leave()).toThrow("broken invariant");
    trail.follow(9);
    expect(trail.since(9, 9)).toEqual([]);
    expect(trail.since(8, 9)).toBeUndefined();
  });

  it("does not answer when there is more than was asked for, or when commits were forgotten", () => {
    const trail = new Trail();
    trail.follow(0);
    trail.add(1, changed(1));
    trail.add(2, changed(2));
    expect(trail.since(0, 1)).toBeUndefined();
    expect(trail.since(1, 1)).toEqual([keyAt(2)]);
    trail.add(
      3,
      Array.from({ length: 70_000 }, () => ({ key: keyAt(0) })),
    );
    expect(trail.since(0, 100_000)).toBeUndefined();
    expect(trail.since(3, 100_000)).toEqual([]);
  });

  it("forgets what was rolled back", () => {
    const trail = new Trail();
    trail.follow(0);
    trail.add(1, changed(1));
    trail.add(2, changed(2));
    trail.rollback(1);
    expect(trail.since(0, 9)).toEqual([keyAt(1)]);
  });
});
