import { describe, expect, it } from "vitest";
import {
  Prng,
  Scheduler,
  SimulatedClock,
  SimulatedProcess,
  SimulatedTimers,
} from "../../src/testing/simulated/index.js";

function machine(clockOptions = {}) {
  const scheduler = new Scheduler();
  const clock = new SimulatedClock(scheduler, clockOptions);
  const process = new SimulatedProcess("a", 1);
  return { scheduler, clock, process, timers: new SimulatedTimers(scheduler, clock, process) };
}

describe("Prng", () => {
  it("repeats itself from a seed, and forks without regard to what was drawn", () => {
    const draw = (prng: Prng): number[] => Array.from({ length: 8 }, () => prng.below(1000));
    const one = new Prng(7);
    const before = draw(one.fork("disk"));
    expect(draw(new Prng(7))).toEqual(draw(one));
    expect(draw(one.fork("disk"))).toEqual(before);
    expect(draw(one.fork("network"))).not.toEqual(before);
    expect(draw(new Prng(8).fork("disk"))).not.toEqual(before);
  });

  it("draws every number below the bound about equally often", () => {
    const prng = new Prng("even");
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) counts[prng.below(6)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(prng.below(1)).toBe(0);
    expect(prng.shuffle([1, 2, 3, 4, 5, 6]).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    const bytes = new Uint8Array(7);
    prng.fill(bytes);
    expect(bytes.some((byte) => byte !== 0)).toBe(true);
  });
});

describe("Scheduler", () => {
  it("runs events by time and then by insertion, promise continuations and soon tasks in between", async () => {
    const { scheduler, timers } = machine();
    const seen: string[] = [];
    timers.after(5, () => seen.push("late"));
    timers.after(1, () => {
      seen.push("first");
      timers.soon(() => {
        seen.push("soon 1");
        void Promise.resolve()
          .then(() => {})
          .then(() => seen.push("continuation of soon 1"));
      });
      timers.soon(() => seen.push("soon 2"));
      void Promise.resolve()
        .then(() => {})
        .then(() => seen.push("continuation"));
    });
    timers.after(1, () => seen.push("second"));
    const result = await scheduler.run();
    expect(seen).toEqual([
      "first",
      "continuation",
      "soon 1",
      "continuation of soon 1",
      "soon 2",
      "second",
      "late",
    ]);
    expect(result).toEqual({ reason: "idle", steps: 3 });
    expect(scheduler.nowMs).toBe(5);
  });

  it("runs soon tasks of soon tasks before the next event of the same instant", async () => {
    const { scheduler, timers } = machine();
    const seen: string[] = [];
    timers.after(1, () => timers.soon(() => timers.soon(() => seen.push("soon of soon"))));
    timers.after(1, () => seen.push("event"));
    await scheduler.run();
    expect(seen).toEqual(["soon of soon", "event"]);
  });

  it("orders thousands of random events", async () => {
    const { scheduler } = machine();
    const prng = new Prng(3);
    const seen: number[] = [];
    const handles = Array.from({ length: 3000 }, (_, i) => {
      const timeMs = prng.below(50);
      return scheduler.at(timeMs, "event", () => seen.push(timeMs * 10_000 + i));
    });
    for (const [i, handle] of handles.entries()) if (i % 3 === 0) handle.cancel();
    await scheduler.run();
    expect(seen).toHaveLength(2000);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(scheduler.waiting).toBe(0);
  });

  it("stops at a time, a condition or a number of steps; background timers do not keep it going", async () => {
    const { scheduler, timers } = machine();
    let count = 0;
    const again = (): void => {
      count++;
      timers.after(10, again, { background: true });
    };
    timers.after(10, again, { background: true });
    expect((await scheduler.run()).reason).toBe("idle");
    expect(count).toBe(0);
    expect((await scheduler.runFor(35)).reason).toBe("time");
    expect([count, scheduler.nowMs]).toEqual([3, 35]);
    expect((await scheduler.run({ until: () => count === 5 })).reason).toBe("until");
    expect((await scheduler.run({ untilMs: 1e9, stepsMax: 4 })).reason).toBe("steps");
    expect(count).toBe(9);
  });

  it("drops timers and soon tasks of a killed process, and only those", async () => {
    const { scheduler, timers, process, clock } = machine();
    const other = new SimulatedTimers(scheduler, clock, new SimulatedProcess("b", 2));
    const seen: string[] = [];
    const timer = timers.after(1, () => seen.push("dead timer"));
    timers.soon(() => seen.push("dead soon"));
    other.after(2, () => seen.push("alive"));
    process.kill();
    timer.cancel();
    timers.after(1, () => seen.push("after death"));
    expect((await scheduler.run()).reason).toBe("idle");
    expect(seen).toEqual(["alive"]);
  });

  it("delays the events of a frozen process", async () => {
    const { scheduler, timers, process } = machine();
    const seen: number[] = [];
    timers.after(5, () => seen.push(scheduler.nowMs));
    timers.after(200, () => seen.push(scheduler.nowMs));
    process.freeze(100);
    await scheduler.run();
    expect(seen).toEqual([100, 200]);
  });

  it("gives each machine its own wrong clock", async () => {
    const { scheduler, timers, clock } = machine({ offsetMs: -500, drift: 1 });
    const start = clock.wallMs();
    let firedMs = 0;
    timers.after(100, () => {
      firedMs = scheduler.nowMs;
    });
    await scheduler.run();
    expect(firedMs).toBe(50);
    expect([clock.monotonicMs(), clock.wallMs() - start]).toEqual([100, 100]);
    clock.jump(-60_000);
    expect([clock.monotonicMs(), clock.wallMs() - start]).toEqual([100, -59_900]);
  });

  it("lets time pass in a loop of turns", async () => {
    const { scheduler, timers } = machine();
    let done = false;
    timers.after(1, () => {
      done = true;
    });
    const loop = async (): Promise<number> => {
      let turns = 0;
      for (; !done; turns++) await timers.turn();
      return turns;
    };
    expect(await scheduler.complete(loop())).toBeGreaterThan(100);
  });
});
