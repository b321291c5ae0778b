import fc from "fast-check";
import { expect } from "vitest";
import { successor } from "../../src/keys/range.js";
import { type Cursor, LATEST, type MemoryEngine, NONE, type Pin, type Ref } from "../../src/memory/engine.js";
import {
  deadlineOf,
  EXPIRED,
  flagsOf,
  HAS_DEADLINE,
  hlcOf,
  isTombstone,
  originOf,
  seqOf,
  TOMBSTONE,
  valueChecksumOf,
} from "../../src/record/entry.js";
import { ascii, bytesOf, drain, entry, put, quickHash, shown } from "./fixtures.js";
import { EngineModel, type ModelEntry, shownEntry, wordsToBigint } from "./model.js";

/** Keys that are hard to keep apart: empty, every single byte, prefixes of each other, long and nearly equal. */
export const KEYS: readonly Uint8Array[] = [
  bytesOf(),
  bytesOf(0),
  bytesOf(0, 0),
  bytesOf(255),
  bytesOf(255, 255),
  bytesOf(254, 255),
  ...["a", "aa", "aaa", "aaaa", "aaab", "aab", "ab", "b"].map(ascii),
  ...["", "x", "y", "xx"].map((end) => ascii("p".repeat(300) + end)),
  ...Array.from({ length: 254 }, (_, i) => bytesOf(i + 1)).filter(([byte]) => byte !== 0x61 && byte !== 0x62),
];

interface Write {
  readonly key: number;
  readonly kind: "set" | "delete" | "sweep";
  readonly origin: number;
  readonly seq: number;
  readonly size: number;
  readonly deadline: number;
}

export type Command =
  | { readonly type: "commit"; readonly gap: number; readonly writes: readonly Write[] }
  | { readonly type: "settle"; readonly back: number }
  | { readonly type: "rollback"; readonly back: number }
  | { readonly type: "pin"; readonly back: number }
  | { readonly type: "release"; readonly pin: number }
  | {
      readonly type: "open";
      readonly pin: number;
      readonly reverse: boolean;
      readonly from: number;
      readonly to: number;
    }
  | { readonly type: "openOrigin"; readonly pin: number; readonly origin: number; readonly after: number }
  | { readonly type: "step"; readonly cursor: number; readonly count: number }
  | { readonly type: "keepTombstones" };

const keyIndex = fc.oneof(
  { arbitrary: fc.nat(17), weight: 6 },
  { arbitrary: fc.nat(KEYS.length - 1), weight: 1 },
);
const write: fc.Arbitrary<Write> = fc.record({
  key: keyIndex,
  kind: fc.constantFrom("set", "set", "delete", "sweep"),
  origin: fc.integer({ min: 1, max: 3 }),
  seq: fc.integer({ min: 1, max: 12 }),
  size: fc.oneof(fc.nat(20), fc.constantFrom(0, 1000)),
  deadline: fc.constantFrom(0, 0, 5, 10, 10, 15),
});
const back = fc.nat(4);
const small = fc.nat(7);

/** Sequences of what a committer, its readers and its log do to an engine. */
export const commandSequences: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant("commit" as const),
        gap: fc.constantFrom(0, 0, 0, 3),
        writes: fc.array(write, { minLength: 1, maxLength: 5 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("settle" as const), back }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("rollback" as const), back }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("pin" as const), back }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("release" as const), pin: small }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("open" as const),
        pin: small,
        reverse: fc.boolean(),
        from: keyIndex,
        to: fc.oneof(keyIndex, fc.constant(-1)),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant("openOrigin" as const),
        pin: small,
        origin: fc.integer({ min: 1, max: 3 }),
        after: fc.nat(6),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant("step" as const), cursor: small, count: fc.nat(6) }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("keepTombstones" as const) }) },
  ),
  { maxLength: 40, size: "max" },
);

interface OpenCursor {
  readonly pin: Pin;
  readonly cursor: Cursor;
  readonly expected: readonly ModelEntry[];
  /** Entries of equal sequence numbers may come in any order. */
  readonly unordered: boolean;
  readonly seen: Ref[];
}

const ALL = { from: bytesOf(), to: undefined };

/** Runs commands against an engine and the model, and compares everything that can be seen after each. */
export class EngineRun {
  readonly #engine: MemoryEngine;
  readonly #model = new EngineModel();
  #pins: Pin[] = [];
  #deadPins: Pin[] = [];
  #cursors: OpenCursor[] = [];
  #steps = 0;

  constructor(engine: MemoryEngine) {
    this.#engine = engine;
  }

  run(command: Command): void {
    this.#steps++;
    this.#apply(command);
    this.#check();
  }

  #apply(command: Command): void {
    const engine = this.#engine;
    const model = this.#model;
    switch (command.type) {
      case "commit": {
        const version = model.version + 1 + command.gap;
        for (const item of command.writes) {
          const bytes = this.#encode(item);
          put(engine, version, bytes);
          model.put(version, bytes);
        }
        return;
      }
      case "settle": {
        const version = Math.max(model.settled, model.version - command.back);
        engine.settle(version);
        model.settle(version);
        return;
      }
      case "rollback":
        this.#rollback(Math.max(model.settled, model.version - command.back));
        return;
      case "pin": {
        const version = Math.max(model.settled, model.version - command.back);
        this.#pins.push(engine.pin(version));
        model.pins.push(version);
        return;
      }
      case "release":
        this.#release(command.pin);
        return;
      case "open":
      case "openOrigin":
        this.#open(command);
        return;
      case "step":
        this.#step(command.cursor, command.count);
        return;
      case "keepTombstones":
        // Rarely, so that most sequences drop tombstones all along.
        if (this.#steps % 5 !== 0) return;
        engine.keepTombstones = true;
        model.keepTombstones = true;
    }
  }

  #encode({ key, kind, origin, seq, size, deadline }: Write): Uint8Array {
    const name = KEYS[key];
    const old = this.#model.get(name, this.#model.version)?.bytes;
    if (kind === "sweep" && old !== undefined && !isTombstone(old, 0)) {
      return entry(name, {
        flags: TOMBSTONE | EXPIRED | (flagsOf(old, 0) & HAS_DEADLINE),
        origin: originOf(old, 0),
        seq: seqOf(old, 0),
        hlc: hlcOf(old, 0),
        deadline: deadlineOf(old, 0),
        valueChecksum: valueChecksumOf(old, 0),
      });
    }
    const stamp = { origin, seq, hlc: this.#steps };
    if (kind !== "set") return entry(name, stamp);
    const value = new Uint8Array(size).fill(this.#steps);
    return entry(name, deadline === 0 ? { ...stamp, value } : { ...stamp, value, deadline });
  }

  #rollback(version: number): void {
    const isDead = (pin: Pin): boolean => pin.version > version;
    this.#engine.rollback(version);
    this.#model.rollback(version);
    this.#deadPins.push(...this.#pins.filter(isDead));
    this.#pins = this.#pins.filter((pin) => !isDead(pin));
    this.#cursors = this.#cursors.filter(({ pin }) => !isDead(pin));
  }

  #release(index: number): void {
    // The pins that a rollback took may be released at any time, and again.
    for (const dead of this.#deadPins.splice(0, index)) dead.release();
    const pin = this.#pins[index % Math.max(1, this.#pins.length)];
    if (pin === undefined) return;
    this.#pins = this.#pins.filter((other) => other !== pin);
    this.#cursors = this.#cursors.filter((open) => open.pin !== pin);
    pin.release();
    pin.release();
    this.#model.unpin(pin.version);
  }

  #open(command: Extract<Command, { type: "open" | "openOrigin" }>): void {
    const pin = this.#pins[command.pin % Math.max(1, this.#pins.length)];
    if (pin === undefined || this.#cursors.length >= 8) return;
    if (command.type === "openOrigin") {
      const bounds = [command.origin, command.after, command.after + 5, pin.version] as const;
      const cursor = this.#engine.byOrigin(...bounds);
      this.#cursors.push({
        pin,
        cursor,
        expected: this.#model.byOrigin(...bounds),
        unordered: true,
        seen: [],
      });
      return;
    }
    const range = { from: KEYS[command.from], to: KEYS[command.to] };
    const expected = this.#model.list(range, pin.version);
    if (command.reverse) expected.reverse();
    const cursor = this.#engine.scan(range, pin.version, command.reverse);
    this.#cursors.push({ pin, cursor, expected, unordered: false, seen: [] });
  }

  #step(index: number, count: number): void {
    const open = this.#cursors[index % Math.max(1, this.#cursors.length)];
    for (let i = 0; open !== undefined && i < count; i++) {
      const ref = open.cursor.next();
      if (ref !== NONE) open.seen.push(ref);
      else expect(open.seen.length).toBe(open.expected.length);
    }
  }

  #check(): void {
    const engine = this.#engine;
    const model = this.#model;
    expect([engine.version, engine.settled]).toEqual([model.version, model.settled]);
    for (const version of model.readable()) this.#checkVersion(version, version);
    this.#checkVersion(LATEST, model.version);
    for (const open of this.#cursors) this.#checkCursor(open);
    this.#checkDeadlines();
    expect(engine.usage()).toMatchObject(model.usage());
    engine.verify();
  }

  #checkVersion(at: number, version: number): void {
    const engine = this.#engine;
    const model = this.#model;
    const a = KEYS[(this.#steps * 7) % 18];
    const b = KEYS[(this.#steps * 5) % 18];
    for (const range of [
      ALL,
      { from: a, to: b },
      { from: a, to: undefined },
      { from: a, to: successor(a) },
    ]) {
      const expected = model.list(range, version).map(shownEntry);
      expect(drain(engine, engine.scan(range, at, false))).toEqual(expected);
      expect(drain(engine, engine.scan(range, at, true))).toEqual(expected.reverse());
      const { count, sum } = engine.digest(range, at);
      expect({ count, sum: wordsToBigint(sum) }).toEqual(model.digest(range, version, quickHash));
    }
    const probes = KEYS.slice(0, 20);
    expect(probes.map((key) => shown(engine, engine.find(key, at)))).toEqual(
      probes.map((key) => model.get(key, version)).map((found) => (found ? shownEntry(found) : "none")),
    );
    for (const origin of [1, 2, 3, 4]) {
      const after = this.#steps % 4;
      const found = drain(engine, engine.byOrigin(origin, after, after + 6, at));
      const expected = model.byOrigin(origin, after, after + 6, version);
      expect(found.toSorted()).toEqual(expected.map(shownEntry).sort());
    }
    this.#checkSeqOrder(at);
  }

  #checkSeqOrder(at: number): void {
    const cursor = this.#engine.byOrigin(1, 0, LATEST, at);
    const seqs: number[] = [];
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      seqs.push(seqOf(this.#engine.slab(ref), this.#engine.offset(ref)));
    }
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  }

  /** What a pinned cursor gave so far can still be read, and is what stood there when it was opened. */
  #checkCursor({ expected, unordered, seen }: OpenCursor): void {
    const found = seen.map((ref) => shown(this.#engine, ref));
    const wanted = expected.map(shownEntry);
    if (!unordered) expect(found).toEqual(wanted.slice(0, found.length));
    else
      expect(new Set(found).size === found.length && found.every((item) => wanted.includes(item))).toBe(true);
  }

  #checkDeadlines(): void {
    const engine = this.#engine;
    const deadlines = this.#model.deadlines();
    expect(engine.nextDeadline()).toBe(deadlines[0]?.deadline ?? Number.POSITIVE_INFINITY);
    for (const through of [4, 5, 10, LATEST]) {
      const cursor = engine.byDeadline(through);
      const found: number[] = [];
      const records: string[] = [];
      for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
        found.push(deadlineOf(engine.slab(ref), engine.offset(ref)));
        records.push(shown(engine, ref));
      }
      const due = deadlines.filter(({ deadline }) => deadline <= through);
      expect(found).toEqual(due.map(({ deadline }) => deadline));
      expect(records.sort()).toEqual(due.map((item) => shownEntry(item.entry)).sort());
    }
  }
}
