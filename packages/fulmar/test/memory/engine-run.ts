import { expect } from "vitest";
import { successor } from "../../src/keys/range.js";
import {
  type Cursor,
  LATEST,
  LIVING,
  type MemoryEngine,
  NONE,
  type Pin,
  type Ref,
} from "../../src/memory/engine.js";
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
import { type Command, HOT_KEYS, KEYS, type Write } from "./engine-commands.js";
import { checkDeadlines } from "./engine-deadlines.js";
import { bytesOf, drain, drainLiving, entry, expectSame, put, quickHash, shown } from "./fixtures.js";
import { EngineModel, type ModelEntry, shownEntry, wordsToBigint } from "./model.js";

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
  readonly #keys: readonly Uint8Array[];
  #pins: Pin[] = [];
  /**
   * False while the engine may have tombstones that the model dropped: their vacuum was put off, and what
   * happened since may need them, a pin or what a rollback would take back.
   */
  #isExact = true;
  /** Pins made while it was not, and those of readers that were there: they may hold a tombstone that came too late. */
  readonly #loosePins = new Set<Pin>();
  #deadPins: Pin[] = [];
  /** Those of readers on other threads, which have no cursors of this engine. */
  readonly #readerPins = new Set<Pin>();
  #cursors: OpenCursor[] = [];
  #steps = 0;
  /** The version that an order by origin keeps pinned while it is being built. */
  #orderedAt: number | undefined;
  /** A commit that is put in parts, of which the model is told when it is shown. */
  #hidden: { readonly version: number; readonly entries: Uint8Array[] } | undefined;

  /** Whether nobody asked for what only replication needs: digests of the newest state, and the order by origin. */
  #isAlone: boolean;

  constructor(engine: MemoryEngine, isAlone = false, keys = KEYS) {
    this.#engine = engine;
    this.#keys = keys;
    this.#isAlone = isAlone;
  }

  run(command: Command): void {
    this.#steps++;
    this.#apply(command);
    this.#check();
  }

  /** Lets everything go: afterwards the engine has what the model has, exactly. */
  finish(): void {
    this.#show();
    while (this.#pins.length > 0) this.#release(0);
    if (this.#orderedAt !== undefined) this.#order(1000);
    this.#vacuumAll();
    this.#apply({ type: "settle", back: 0 });
    this.#vacuumAll();
    this.#check();
    expect(this.#isExact).toBe(true);
    if (!this.#isAlone) return;
    this.#isAlone = false;
    this.#check();
  }

  #show(): void {
    const hidden = this.#hidden;
    this.#hidden = undefined;
    expect(this.#engine.isHiding).toBe(hidden !== undefined);
    if (hidden === undefined) return;
    this.#engine.show();
    for (const bytes of hidden.entries) this.#model.put(hidden.version, bytes);
  }

  #vacuumAll(): void {
    for (let slices = 0; this.#engine.vacuum(7); slices++) expect(slices).toBeLessThan(1000);
  }

  #apply(command: Command): void {
    const [engine, model] = [this.#engine, this.#model];
    // Before one that is hidden there may be commits without entries.
    const newest = this.#hidden === undefined ? model.version : this.#hidden.version - 1;
    switch (command.type) {
      case "commit": {
        const version = this.#hidden?.version ?? model.version + 1 + command.gap;
        for (const item of command.writes) {
          const bytes = this.#encode(item);
          put(engine, version, bytes);
          if (this.#hidden === undefined) model.put(version, bytes);
          else this.#hidden.entries.push(bytes);
        }
        return;
      }
      case "hide":
        if (this.#hidden !== undefined) return;
        this.#hidden = { version: model.version + 1 + command.gap, entries: [] };
        engine.hide();
        // What is hidden above a tombstone keeps it.
        this.#loosen();
        return;
      case "show":
        this.#show();
        return;
      case "settle": {
        const version = Math.max(model.settled, newest - command.back);
        engine.settle(version);
        model.settle(version);
        return;
      }
      case "rollback":
        this.#rollback(Math.max(model.settled, newest - command.back));
        return;
      case "pin": {
        const version = Math.max(model.settled, model.version - command.back);
        const pin = engine.pin(version, command.owner);
        if (command.owner === "reader") this.#readerPins.add(pin);
        this.#pins.push(pin);
        model.pin(version, this.#readerPins.has(pin));
        if (!this.#isExact) this.#loosePins.add(pin);
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
      case "vacuum": {
        const before = engine.usage();
        engine.vacuum(command.records);
        const after = engine.usage();
        expect(before.oldVersions - after.oldVersions).toBeLessThanOrEqual(command.records);
        expect(before.tombstones - after.tombstones).toBeLessThanOrEqual(command.records);
        return;
      }
      case "keepTombstones":
        // Rarely, so that most sequences drop tombstones all along.
        if (this.#steps % 5 !== 0 || this.#hidden !== undefined) return;
        this.#vacuumAll();
        if (!this.#isExact) return;
        engine.keepTombstones = true;
        model.keepTombstones = true;
        return;
      case "order":
        if (!this.#isAlone) this.#order(command.steps);
    }
  }

  #order(steps: number): void {
    const engine = this.#engine;
    if (engine.isOrderedByOrigin) {
      expect(engine.orderByOrigin()).toBe(true);
      return;
    }
    if (this.#orderedAt === undefined) {
      if (!this.#isExact) return;
      this.#orderedAt = this.#model.settled;
      this.#model.pin(this.#orderedAt);
    }
    for (let step = 0; step < steps; step++) {
      const isOrdered = engine.orderByOrigin();
      expect(isOrdered).toBe(engine.isOrderedByOrigin);
      engine.verify();
      // What the pin let go of may wait for vacuum.
      if (engine.vacuum(0)) this.#loosen();
      if (!isOrdered) continue;
      this.#model.unpin(this.#orderedAt);
      this.#orderedAt = undefined;
      return;
    }
  }

  #encode({ key, kind, origin, seq, size, deadline }: Write): Uint8Array {
    const name = this.#keys[key];
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
    this.#hidden = undefined;
    this.#deadPins.push(...this.#pins.filter(isDead));
    for (const pin of this.#deadPins) this.#loosePins.delete(pin);
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
    this.#loosePins.delete(pin);
    pin.release();
    pin.release();
    this.#model.unpin(pin.version, this.#readerPins.has(pin));
  }

  #open(command: Extract<Command, { type: "open" | "openOrigin" }>): void {
    const pin = this.#pins[command.pin % Math.max(1, this.#pins.length)];
    if (pin === undefined || this.#readerPins.has(pin) || this.#cursors.length >= 8) return;
    if (command.type === "openOrigin") {
      if (!this.#engine.isOrderedByOrigin) return;
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
    const range = { from: this.#keys[command.from], to: this.#keys[command.to] };
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
      else if (!this.#loosePins.has(open.pin)) expect(open.seen.length).toBe(open.expected.length);
    }
  }

  #check(): void {
    const engine = this.#engine;
    const model = this.#model;
    expect([engine.version, engine.settled]).toEqual([model.version, model.settled]);
    if (engine.vacuum(0)) this.#loosen();
    else if (this.#isSettled() && this.#loosePins.size === 0) this.#isExact = true;
    for (const version of model.readable()) this.#checkVersion(version, version);
    this.#checkVersion(LATEST, model.version);
    for (const open of this.#cursors) this.#checkCursor(open);
    // What is hidden is counted, too.
    if (this.#hidden === undefined) {
      checkDeadlines(engine, model);
      this.#checkUsage();
    }
    engine.verify();
  }

  #isSettled(): boolean {
    return this.#model.settled === this.#model.version && this.#hidden === undefined;
  }

  /** Vacuum was put off. */
  #loosen(): void {
    this.#isExact = false;
    for (const pin of this.#pins) if (this.#readerPins.has(pin)) this.#loosePins.add(pin);
  }

  #checkUsage(): void {
    const expected = this.#model.usage();
    const usage = this.#engine.usage();
    if (this.#isExact) {
      expect(usage).toMatchObject(expected);
      return;
    }
    expect(usage.entries).toBe(expected.entries);
    for (const name of ["tombstones", "oldVersions", "recordBytes"] as const)
      expect(usage[name]).toBeGreaterThanOrEqual(expected[name]);
  }

  /** What a cursor gives; without tombstones as long as the model may have dropped more of them. */
  #drain(cursor: Cursor): string[] {
    if (this.#isExact) return drain(this.#engine, cursor);
    const found: string[] = [];
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next())
      if (this.#isComparable(ref)) found.push(shown(this.#engine, ref));
    return found;
  }

  #isComparable(ref: Ref): boolean {
    return this.#isExact || !isTombstone(this.#engine.slab(ref), this.#engine.offset(ref));
  }

  #shownEntries(entries: readonly ModelEntry[]): string[] {
    return entries.filter(({ bytes }) => this.#isExact || !isTombstone(bytes, 0)).map(shownEntry);
  }

  #checkVersion(at: number, version: number): void {
    const [engine, model] = [this.#engine, this.#model];
    const a = this.#keys[(this.#steps * 7) % HOT_KEYS];
    const b = this.#keys[(this.#steps * 5) % HOT_KEYS];
    for (const range of [
      ALL,
      { from: a, to: b },
      { from: a, to: undefined },
      { from: a, to: successor(a) },
    ]) {
      const expected = this.#shownEntries(model.list(range, version));
      expectSame(this.#drain(engine.scan(range, at, false)), expected);
      expectSame(this.#drain(engine.scan(range, at, true)), expected.toReversed());
      const living = model.living(range, version).map(shownEntry);
      expectSame(drainLiving(engine, engine.scan(range, at, false, LIVING)), living);
      expectSame(drainLiving(engine, engine.scan(range, at, true, LIVING)), living.reverse());
      if (!this.#isExact || this.#isAlone) continue;
      if (this.#steps % 3 === 0) engine.prepareDigest(range.from, range.to, this.#steps % 4);
      const { count, sum } = engine.digest(range, at);
      expect({ count, sum: wordsToBigint(sum) }).toEqual(model.digest(range, version, quickHash));
    }
    for (const key of this.#keys.slice(0, 20)) {
      const ref = engine.find(key, at);
      const found = ref === NONE || !this.#isComparable(ref) ? [] : [shown(engine, ref)];
      const expected = model.get(key, version);
      expectSame(found, this.#shownEntries(expected === undefined ? [] : [expected]));
    }
    if (engine.isOrderedByOrigin) this.#checkOrigins(at, version);
  }

  #checkOrigins(at: number, version: number): void {
    for (const origin of [1, 2, 3, 4]) {
      const after = this.#steps % 4;
      const found = this.#drain(this.#engine.byOrigin(origin, after, after + 6, at));
      const expected = this.#model.byOrigin(origin, after, after + 6, version);
      expectSame(found.toSorted(), this.#shownEntries(expected).sort());
    }
    this.#checkSeqOrder(at);
  }

  #checkSeqOrder(at: number): void {
    const cursor = this.#engine.byOrigin(1, 0, LATEST, at);
    const seqs: number[] = [];
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      seqs.push(seqOf(this.#engine.slab(ref), this.#engine.offset(ref)));
    }
    expectSame(
      seqs,
      seqs.toSorted((a, b) => a - b),
    );
  }

  /** What a pinned cursor gave so far can still be read, and is what stood there when it was opened. */
  #checkCursor({ expected, unordered, seen, pin }: OpenCursor): void {
    // Tombstones that the engine still had, and the model had not, when such a pin was made.
    const isLoose = this.#loosePins.has(pin);
    const counts = (bytes: Uint8Array, at: number): boolean => !isLoose || !isTombstone(bytes, at);
    const found = seen
      .filter((ref) => counts(this.#engine.slab(ref), this.#engine.offset(ref)))
      .map((ref) => shown(this.#engine, ref));
    const wanted = expected.filter(({ bytes }) => counts(bytes, 0)).map(shownEntry);
    if (!unordered) expectSame(found, wanted.slice(0, found.length));
    else
      expect(new Set(found).size === found.length && found.every((item) => wanted.includes(item))).toBe(true);
  }
}
