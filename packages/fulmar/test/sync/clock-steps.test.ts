import { afterEach, expect, test } from "vitest";
import type { Clock } from "../../src/base/runtime/interface.js";
import { open } from "../../src/index.js";
import { areConnected, Cluster } from "./support/cluster.js";

const HOUR_MS = 3_600_000;

/** A day and a year back; half a minute and a year ahead. */
const STEPS = [-24 * HOUR_MS, -365 * 24 * HOUR_MS, 30_000, 365 * 24 * HOUR_MS];

let cluster: Cluster;

afterEach(() => cluster.close());

test.each(STEPS)(
  "T-CLK-03: a wall clock that is set by %i ms ends no session and delays no news",
  async (stepMs) => {
    cluster = new Cluster(41);
    const { world } = cluster;
    const runtime = world.runtime("a");
    let offsetMs = 0;
    const clock: Clock = { ...runtime.clock, wallMs: () => runtime.clock.wallMs() + offsetMs };
    const db = await cluster.during(open<unknown>(undefined, { runtime: { ...runtime, clock } }));
    const a = await cluster.addWith("a", db, { peers: ["b:1"] });
    const b = await cluster.add("b");
    await world.run(10_000, () => areConnected([a, b]) && cluster.isEqual());
    const events: unknown[] = [];
    for (const { sync } of [a, b]) sync.on("peer", (event) => events.push(event));
    // Set to and fro, so that whatever is measured is measured across a step, too.
    for (let i = 0; i < 300; i++) {
      offsetMs = i % 2 === 0 ? stepMs : 0;
      await world.run(90);
    }
    expect(events).toEqual([]);
    offsetMs = stepMs;
    // What is stamped a minute ahead of a clock waits, so it is who is behind that writes.
    const [writer, reader] = stepMs < 0 ? [a, b] : [b, a];
    // Heartbeats of 2 s go on; who is silent for three of them would be given up.
    for (let i = 0; i < 20; i++) {
      await cluster.during(writer.db.set("news", i));
      expect(await world.run(50, () => reader.db.get("news") === i)).toBe(true);
      await world.run(1000);
      for (const { sync } of [a, b]) {
        const [peer] = sync.peers();
        expect([peer.state, peer.lagCommits, peer.lagMs]).toEqual(["connected", 0, 0]);
        expect(peer.lastContactMs).toBeLessThan(6000);
        expect(peer.lastContactMs).toBeGreaterThanOrEqual(0);
      }
    }
    expect(events).toEqual([]);
    // A wait of ten seconds takes ten.
    world.block("b", "a");
    world.block("a", "b");
    world.cut();
    await cluster.during(b.db.set("unheard", 1));
    offsetMs = 0;
    let code: string | undefined;
    const waiting = b.sync.synced(undefined, { timeoutMs: 10_000 }).catch((error: unknown) => {
      code = (error as { code?: string }).code;
    });
    await world.run(9900);
    expect(code).toBeUndefined();
    offsetMs = stepMs;
    await world.run(200, () => code !== undefined);
    await waiting;
    expect(code).toBe("TIMEOUT");
  },
);
