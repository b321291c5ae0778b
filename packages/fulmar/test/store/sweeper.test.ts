import { describe, expect, it } from "vitest";
import type { Timers } from "../../src/base/runtime/interface.js";
import { Evictor } from "../../src/store/evictor.js";
import { COMMITS_MS } from "../../src/store/slice.js";
import { ENTRIES_PER_STEP, ENTRIES_PER_TURN, Sweeper } from "../../src/store/sweeper.js";

/** A clock and timers that move on when the test says so; each `work` takes `stepMs`. */
function world(stepMs: number) {
  let nowMs = 0;
  const due: { readonly delayMs: number; readonly task: () => void }[] = [];
  const timers: Timers = {
    soon: (task) => task(),
    turn: () => Promise.resolve(),
    after(delayMs, task) {
      const timer = { delayMs, task };
      due.push(timer);
      return { cancel: () => due.splice(due.indexOf(timer) >>> 0, 1) };
    },
  };
  const work = (): void => {
    nowMs += stepMs;
  };
  const fire = (): void => due.shift()?.task();
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  return { runtime: { clock, timers }, work, fire, due };
}

const source = { nowMs: () => 0, finishMerge: () => undefined };

/** What is left after each turn of a sweeper or evictor that begins with `entries`. */
function turns(kind: "sweeper" | "evictor", entries: number, stepMs: number): number[] {
  const { runtime, work, fire, due } = world(stepMs);
  let left = entries;
  const take = (limit: number): number => {
    work();
    const taken = Math.min(left, limit);
    left -= taken;
    return taken;
  };
  if (kind === "sweeper") {
    const nextDeadline = (): number => (left > 0 ? 0 : Number.POSITIVE_INFINITY);
    new Sweeper({ ...source, runtime, nextDeadline, sweep: take }).expect(0);
  } else new Evictor({ runtime, isTight: () => left > 0, evict: take }).expect();
  const after: number[] = [];
  while (due.length > 0) {
    fire();
    after.push(left);
  }
  return after;
}

describe.each(["sweeper", "evictor"] as const)("%s", (kind) => {
  it("takes so many entries in one turn of the event loop, however fast it is", () => {
    const entries = 2 * ENTRIES_PER_TURN + 1;
    expect(turns(kind, entries, 0)).toEqual([ENTRIES_PER_TURN + 1, 1, 0]);
  });

  it("ends when the store cannot write, without a word", () => {
    const { runtime, fire, due } = world(0);
    const fail = (): number => {
      throw new Error("the store failed");
    };
    if (kind === "sweeper") {
      const nextDeadline = (): number => Number.POSITIVE_INFINITY;
      new Sweeper({ ...source, runtime, nextDeadline, sweep: fail }).expect(0);
    } else new Evictor({ runtime, isTight: () => true, evict: fail }).expect();
    expect(fire).not.toThrow();
    expect(due).toEqual([]);
  });

  it("ends a turn when its time is over, however few entries that took", () => {
    const left = turns(kind, 6 * ENTRIES_PER_STEP, COMMITS_MS * 0.6);
    expect(left.slice(0, 3)).toEqual([4 * ENTRIES_PER_STEP, 2 * ENTRIES_PER_STEP, 0]);
    expect(turns(kind, 2 * ENTRIES_PER_STEP, COMMITS_MS).slice(0, 2)).toEqual([ENTRIES_PER_STEP, 0]);
  });
});

describe("sweeper", () => {
  it("stops at once when the log refuses a sweep, and rests before the next", () => {
    const { runtime, work, fire, due } = world(0);
    let sweeps = 0;
    const sweeper = new Sweeper({
      ...source,
      runtime,
      nextDeadline: () => 0,
      sweep(limit) {
        sweeps++;
        work();
        sweeper.retry();
        return limit;
      },
    });
    sweeper.expect(0);
    fire();
    expect(sweeps).toBe(1);
    expect(due.map(({ delayMs }) => delayMs)).toEqual([1000]);
  });

  it("drains what comes to light when a half-done merge is finished", async () => {
    const { runtime } = world(0);
    let left = 0;
    const sweeper = new Sweeper({
      ...source,
      runtime,
      finishMerge() {
        left = 3;
      },
      nextDeadline: () => (left > 0 ? 0 : Number.POSITIVE_INFINITY),
      sweep(limit) {
        const swept = Math.min(left, limit);
        left -= swept;
        return swept;
      },
    });
    const drained = sweeper.drain();
    expect(left).toBe(3);
    await drained;
    expect(left).toBe(0);
  });
});
