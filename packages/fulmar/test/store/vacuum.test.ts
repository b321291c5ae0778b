import { describe, expect, it } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open } from "../../src/store/open.js";
import { portOf } from "../../src/store/port.js";
import { RECORDS_PER_STEP, RECORDS_PER_TURN, Vacuum } from "../../src/store/vacuum.js";

const KEYS = 20_000;

/** Timers whose turns come when the test says so. */
function manualTurns() {
  const { timers } = nodeRuntime();
  const waiting: (() => void)[] = [];
  const turn = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  const pass = async (): Promise<number> => {
    const due = waiting.splice(0);
    for (const resolve of due) resolve();
    await new Promise((resolve) => setImmediate(resolve));
    return due.length;
  };
  return { timers: { ...timers, turn }, pass };
}

describe("vacuum", () => {
  it("frees what a reader kept in slices, one in each turn of the event loop, down to nothing", async () => {
    const { timers, pass } = manualTurns();
    const db = await open<number>(undefined, { runtime: { ...nodeRuntime(), timers } });
    const overwrite = (value: number) =>
      db.batch(Array.from({ length: KEYS }, (_, key) => ({ type: "set", key, value }) as const));
    const old = (): number => db.status().memory.oldVersions;
    await overwrite(1);
    // An iteration under way shows one state, until it ends.
    const reader = db.list()[Symbol.iterator]();
    reader.next();
    await overwrite(2);
    while ((await pass()) > 0);
    expect(old()).toBe(KEYS);
    reader.return?.();
    let before = old();
    expect(before).toBeGreaterThan(KEYS - 2 * RECORDS_PER_TURN);
    let turns = 0;
    for (; (await pass()) > 0; turns++) {
      expect(before - old()).toBeLessThanOrEqual(RECORDS_PER_TURN);
      before = old();
    }
    expect(old()).toBe(0);
    expect(turns).toBeGreaterThanOrEqual(KEYS / RECORDS_PER_TURN - 2);
    await db.close();
  });

  it.each(["none", "lru"] as const)(
    "goes ahead of a refusal and of eviction by policy %s",
    async (eviction) => {
      const { timers, pass } = manualTurns();
      const runtime = { ...nodeRuntime(), timers };
      const options = { codec: "bytes", maxMemory: 13 * 1024 * 1024, eviction, runtime } as const;
      const db = await open<Uint8Array>(undefined, options);
      const write = (from: number, byte: number) =>
        db.batch(
          Array.from({ length: 5000 }, (_, i) => {
            return { type: "set", key: from + i, value: new Uint8Array(1000).fill(byte) } as const;
          }),
        );
      await write(0, 1);
      const reader = db.list()[Symbol.iterator]();
      reader.next();
      await write(0, 2);
      while ((await pass()) > 0);
      reader.return?.();
      // What the reader kept is still there, with what replaced it, and no turn comes: there is no room for so many.
      expect(db.status().memory.oldVersions).toBeGreaterThan(3000);
      await write(10_000, 3);
      expect(db.count()).toBe(10_000);
      await db.close();
    },
  );

  it("runs once at a time, only while there is something to do, and never after it was stopped", async () => {
    const { timers, pass } = manualTurns();
    const source = garbage();
    const vacuum = new Vacuum({ clock: source.clock, timers }, source);
    vacuum.consider();
    expect(await pass()).toBe(0);
    source.left = 2 * RECORDS_PER_TURN + 1;
    vacuum.consider();
    vacuum.consider();
    for (const left of [RECORDS_PER_TURN + 1, 1, 0]) {
      expect(await pass()).toBe(1);
      expect(source.left).toBe(left);
    }
    expect([await pass(), source.left]).toEqual([0, 0]);
    source.left = 3 * RECORDS_PER_TURN;
    vacuum.consider();
    await pass();
    vacuum.stop();
    await pass();
    expect(source.left).toBe(2 * RECORDS_PER_TURN);
    vacuum.consider();
    expect(await pass()).toBe(0);
  });

  it("waits for the next reason where there is no memory for it, and tells of anything else", async () => {
    const { timers, pass } = manualTurns();
    const source = garbage();
    const vacuum = new Vacuum({ clock: source.clock, timers }, source);
    source.left = 10;
    source.fault = new RangeError("Array buffer allocation failed");
    vacuum.consider();
    expect([await pass(), await pass(), source.left, source.failures]).toEqual([1, 0, 10, []]);
    const bug = new FulmarError("INVARIANT", "a bug");
    source.fault = bug;
    vacuum.consider();
    expect([await pass(), await pass(), source.left, source.failures]).toEqual([1, 0, 10, [bug]]);
    source.fault = undefined;
    vacuum.consider();
    expect([await pass(), await pass(), source.left]).toEqual([1, 0, 0]);
  });

  it("that finds memory in disorder ends the store, and not the process", async () => {
    const { timers, pass } = manualTurns();
    const db = await open<number>(undefined, { runtime: { ...nodeRuntime(), timers } });
    const bug = new FulmarError("INVARIANT", "a bug");
    const { engine } = portOf(db);
    engine.vacuum = (records) => {
      if (records > 0) throw bug;
      return true;
    };
    await db.set("key", 1);
    await pass();
    expect([db.status().state, db.get("key")]).toEqual(["failed", 1]);
    await expect(db.set("key", 2)).rejects.toMatchObject({ code: "STORE_FAILED", cause: { cause: bug } });
  });

  it("ends a slice when its time is over, however few records that took", async () => {
    const { timers, pass } = manualTurns();
    const source = garbage();
    source.stepMs = 1.5;
    const vacuum = new Vacuum({ clock: source.clock, timers }, source);
    source.left = 10 * RECORDS_PER_STEP;
    vacuum.consider();
    const left: number[] = [];
    while ((await pass()) > 0) left.push(source.left / RECORDS_PER_STEP);
    expect(left).toEqual([8, 6, 4, 2, 0]);
  });
});

/** Some records to let go of, each step of which takes `stepMs` of a clock of its own. */
function garbage() {
  let nowMs = 0;
  return {
    left: 0,
    stepMs: 0,
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs },
    fault: undefined as Error | undefined,
    failures: [] as unknown[],
    failed(cause: unknown): void {
      this.failures.push(cause);
    },
    vacuum(records: number): boolean {
      if (records > 0) nowMs += this.stepMs;
      if (records > 0 && this.fault !== undefined) throw this.fault;
      this.left = Math.max(0, this.left - records);
      return this.left > 0;
    },
  };
}
