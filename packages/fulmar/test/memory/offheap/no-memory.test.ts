import { describe, expect, it } from "vitest";
import { crc32 } from "../../../src/base/crc.js";
import { ALL_KEYS } from "../../../src/keys/range.js";
import {
  type EngineOptions,
  LATEST,
  type MemoryEngine,
  NONE,
  PIN_OWNERS,
  type Pin,
} from "../../../src/memory/engine.js";
import { createPolicy } from "../../../src/memory/eviction/create.js";
import { Residents } from "../../../src/memory/eviction/residents.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { isTombstone } from "../../../src/record/entry.js";
import { ascii, entry, keyAt, put, quickHash, read } from "../fixtures.js";
import { runGranted } from "../scarce.js";
import { sequence } from "../shared/fixture.js";
import { SMALL, SMALLEST } from "./shapes.js";

/** The second one found that a tombstone was forgotten for which the hash table could not shrink. */
const SEEDS = [1, 237_185, Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000)];
const STEPS = 500;
/** Steps between two changes of whether there is an order by origin. */
const REORDERED = 80;
const KEYS = Array.from({ length: 500 }, (_, i) => ascii(`${"prefix".repeat(i % 3)}${i * 7919}`));
/** So many that what each of them holds, a page at least, takes more than a chunk of pages. */
const PINS_MIN = 36;
/** A chunk has the nodes that one change takes. */
const chunkNodes = 32;

/**
 * Runs the same on an engine and on the plain one beside it, and in the former each step first without any memory for
 * another buffer, then with memory for one, and so on, so that every allocation fails before it succeeds.
 */
class Starving {
  /** Steps that failed. */
  failures = 0;
  readonly #engine: MemoryEngine;
  readonly #plain = createPlainEngine({ hash: quickHash });
  readonly #random: (bound: number) => number;
  #pins: (readonly [Pin, Pin])[] = [];
  #seq = 0;

  constructor(engine: MemoryEngine, seed: number) {
    this.#engine = engine;
    this.#random = sequence(seed);
  }

  step(): void {
    const engines = [this.#engine, this.#plain];
    const choice = this.#random(20);
    if (choice < 11) this.#commit(1 + this.#random(4));
    else if (choice < 14) {
      const version = this.#anyVersion();
      this.#surely(() => this.#engine.settle(version));
      this.#plain.settle(version);
    } else if (choice < 15) this.#rollback(this.#anyVersion());
    else if (choice < 17) {
      const version = this.#anyVersion();
      const owner = PIN_OWNERS[this.#random(PIN_OWNERS.length)];
      const [pin, plain] = engines.map((engine) => engine.pin(version, owner));
      this.#pins.push([pin, plain]);
    } else if (choice < 19 && this.#pins.length > PINS_MIN) this.#release(this.#random(this.#pins.length));
    else this.#patiently(() => void this.#engine.vacuum(20));
  }

  /** Makes the order by origin, or forgets it. */
  reorder(): void {
    const engine = this.#engine;
    if (engine.isOrderedByOrigin) engine.forgetOrder();
    else
      this.#patiently(() => {
        while (!engine.orderByOrigin());
      });
  }

  finish(): void {
    while (this.#pins.length > 0) this.#release(0);
    for (const engine of [this.#engine, this.#plain]) {
      engine.settle(engine.version);
      while (engine.vacuum(1000));
    }
    expect(this.#engine.hasPins()).toBe(false);
    this.#check();
    const { entries } = this.#plain.usage();
    // Nothing that was put off was forgotten.
    expect(this.#engine.usage()).toMatchObject({ entries, tombstones: 0, oldVersions: 0 });
  }

  /** What cannot fail for want of memory. */
  #surely(action: () => void): void {
    expect(runGranted(0, action)).toBe(true);
  }

  #patiently(action: () => void, undo?: () => void): void {
    for (let granted = 0; !runGranted(granted, action); granted++) {
      this.failures++;
      if (undo !== undefined) this.#surely(undo);
      this.#check();
    }
  }

  #commit(count: number): void {
    const before = this.#engine.version;
    const version = before + 1 + this.#random(2);
    const writes = Array.from({ length: count }, () => this.#write());
    this.#patiently(
      () => {
        for (const bytes of writes) put(this.#engine, version, bytes);
      },
      () => this.#engine.rollback(before),
    );
    for (const bytes of writes) put(this.#plain, version, bytes);
  }

  /** More often one that is set while there are few, and one that is deleted while there are many. */
  #write(): Uint8Array {
    const isGrowing = this.#seq++ % 300 < 180;
    const stamp = { origin: 1 + this.#random(3), seq: this.#seq, hlc: this.#seq };
    const key = KEYS[this.#random(KEYS.length)];
    if (this.#random(10) < (isGrowing ? 1 : 8)) return entry(key, stamp);
    const value = new Uint8Array(this.#random(8) === 0 ? 3000 : this.#random(90)).fill(this.#seq);
    return entry(key, this.#random(3) === 0 ? { ...stamp, value, deadline: this.#seq } : { ...stamp, value });
  }

  #anyVersion(): number {
    const { settled, version } = this.#engine;
    return Math.max(settled, version - this.#random(4));
  }

  #rollback(version: number): void {
    this.#surely(() => this.#engine.rollback(version));
    this.#plain.rollback(version);
    this.#pins = this.#pins.filter(([pin]) => pin.version <= version);
  }

  #release(index: number): void {
    const [[pin, plain]] = this.#pins.splice(index, 1);
    this.#surely(() => pin.release());
    plain.release();
  }

  #check(): void {
    const [engine, plain] = [this.#engine, this.#plain];
    engine.verify();
    expect([engine.version, engine.settled]).toEqual([plain.version, plain.settled]);
    for (const at of [LATEST, ...this.#pins.slice(-3).map(([pin]) => pin.version)])
      expect(stateAt(engine, at)).toEqual(stateAt(plain, at));
    expect(engine.nextDeadline()).toBe(plain.nextDeadline());
  }
}

/** What there is at a version, without tombstones, which may be vacuumed sooner or later. */
function stateAt(engine: MemoryEngine, version: number): string[] {
  const found: string[] = [];
  const cursor = engine.scan(ALL_KEYS, version, false);
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next())
    if (!isTombstone(engine.slab(ref), engine.offset(ref)))
      found.push(`${keyAt(engine, ref)} ${engine.versionOf(ref)} ${crc32(read(engine, ref))}`);
  return found;
}

/** An engine whose keys a policy follows. */
function createTracked(options: EngineOptions): MemoryEngine {
  const engine = createEngine({
    ...options,
    shape: { ...SMALL, chunkNodes, chunkNodesMin: chunkNodes },
    tracked: true,
  });
  const residents = new Residents(
    engine,
    createPolicy("arc", () => 0),
    () => 0,
  );
  engine.track(residents);
  const verify = engine.verify.bind(engine);
  engine.verify = () => {
    verify();
    residents.verify();
  };
  return engine;
}

/** An engine that is read on another thread, by one that never looks. */
function createShared(options: EngineOptions): MemoryEngine {
  const sharing = new Sharing({ stepBytes: 1 });
  const engine = createEngine({
    ...options,
    shape: { ...SMALL, chunkNodes, chunkNodesMin: chunkNodes },
    sharing,
  });
  sharing.attach();
  return engine;
}

const ENGINES: Record<string, (options: EngineOptions) => MemoryEngine> = {
  "in small pieces": (options) =>
    createEngine({ ...options, shape: { ...SMALL, chunkNodes, chunkNodesMin: chunkNodes } }),
  "in the smallest pieces": (options) =>
    createEngine({ ...options, shape: { ...SMALLEST, chunkNodes, chunkNodesMin: chunkNodes } }),
  "with keys that are followed": createTracked,
  shared: createShared,
};

describe.each(Object.entries(ENGINES))("an engine without memory, %s", (_, create) => {
  it.each(SEEDS)(
    "loses nothing and leaves nothing of what fails, whichever allocation that is (seed %i)",
    (seed) => {
      const run = new Starving(create({ hash: quickHash }), seed);
      for (let i = 0; i < STEPS; i++) {
        run.step();
        if (i % REORDERED === 0) run.reorder();
      }
      run.finish();
      expect(run.failures).toBeGreaterThan(STEPS / 2);
    },
  );
});
