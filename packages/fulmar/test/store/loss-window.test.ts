import { describe, expect, it } from "vitest";
import { open } from "../../src/index.js";
import { nodeCryptography, SimulatedWorld } from "../../src/testing/index.js";

const WRITERS = 3;
const VALUE = "x".repeat(100);

interface Lost {
  readonly commits: number;
  /** Between the acknowledgements of the first and of the last of them. */
  readonly spanMs: number;
  readonly acknowledged: number;
}

/** What was acknowledged, and is not there after the power went while writers and a slow disk were at work. */
async function lose(seed: number, limits: object): Promise<Lost> {
  const diskLatencyMs = { least: 100, most: 300 };
  const world = new SimulatedWorld({ seed, cryptography: nodeCryptography, diskLatencyMs });
  const machine = world.node("a");
  const options = { durability: "relaxed" as const, ...limits };
  const db = await world.complete(open("/data", { runtime: machine.runtime, ...options }));
  const times: number[] = [];
  const write = async (writer: number): Promise<void> => {
    for (let i = 0; ; i++) {
      await db.set(["k", writer, i], VALUE);
      times.push(world.scheduler.nowMs);
      await new Promise<void>((resolve) => machine.runtime.timers.after(1, resolve));
    }
  };
  for (let i = 0; i < WRITERS; i++) write(i).catch(() => undefined);
  await world.runFor(3000);
  machine.powerCut();
  const again = await world.complete(open("/data", { runtime: machine.restart(), ...options }));
  // Nothing is lost but from the end.
  const lost = times.slice(again.count());
  const spanMs = lost.length === 0 ? 0 : lost[lost.length - 1] - lost[0];
  return { commits: lost.length, spanMs, acknowledged: times.length };
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

describe("what a power cut takes back of what was acknowledged as relaxed, on a slow disk", () => {
  it("is not more commits than were set", async () => {
    const lost = await Promise.all(SEEDS.map((seed) => lose(seed, { flushCommits: 10 })));
    for (const { commits, acknowledged } of lost) {
      expect(commits).toBeLessThanOrEqual(10);
      expect(acknowledged).toBeGreaterThan(50);
    }
    expect(Math.max(...lost.map(({ commits }) => commits))).toBeGreaterThan(5);
  });

  it("is not more bytes than were set", async () => {
    const lost = await Promise.all(SEEDS.map((seed) => lose(seed, { flushBytes: 2048 })));
    for (const { commits, acknowledged } of lost) {
      expect(commits * VALUE.length).toBeLessThanOrEqual(2048);
      expect(acknowledged).toBeGreaterThan(50);
    }
    expect(Math.max(...lost.map(({ commits }) => commits))).toBeGreaterThan(3);
  });

  it("was made within the interval that was set", async () => {
    const lost = await Promise.all(SEEDS.map((seed) => lose(seed, { flushInterval: 20 })));
    for (const { spanMs, acknowledged } of lost) {
      expect(spanMs).toBeLessThanOrEqual(20);
      expect(acknowledged).toBeGreaterThan(50);
    }
    expect(Math.max(...lost.map(({ spanMs }) => spanMs))).toBeGreaterThan(5);
  });
});
