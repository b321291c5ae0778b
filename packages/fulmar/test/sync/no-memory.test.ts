import { describe, expect, it, vi } from "vitest";
import { portOf } from "../../src/store/port.js";
import { scarcity } from "../memory/scarce.js";
import { Cluster, type Node } from "./support/cluster.js";
import type { FakeConnection } from "./support/world.js";

/** For so long, in ms, there is no memory. */
const SCARCE_MS = 150;
const KEYS = 6;

async function fill({ db }: Node, cluster: Cluster, prefix: string): Promise<void> {
  for (let i = 0; i < KEYS; i++) await cluster.during(db.set(`${prefix}${i}`, "v".repeat(100)));
}

/** All ends of connections that are made from now on. */
function connectionsOf({ world }: Cluster): () => FakeConnection[] {
  const pair = vi.spyOn(world, "pair");
  return () => pair.mock.results.flatMap(({ value }) => value as FakeConnection[]);
}

/**
 * Two nodes that meet, or have met and go on writing, while the first so many allocations succeed and none after them
 * for a while. How many were refused.
 */
async function meet(granted: number, refusedMax: number, isAcquainted: boolean): Promise<number> {
  const reconnect = { leastMs: 10, mostMs: 50 };
  const cluster = new Cluster(1, { pageBytes: 256, ackTimeoutMs: 50, reconnect });
  const connections = connectionsOf(cluster);
  const a = await cluster.add("a");
  const b = await cluster.add("b");
  await fill(a, cluster, "a");
  if (isAcquainted) {
    b.sync.addPeer("a:1");
    expect(await cluster.converge()).toBe(true);
  }
  const errors: Error[] = [];
  const codes = new Set<string | undefined>();
  for (const { sync } of [a, b]) {
    sync.on("error", ({ error }) => errors.push(error));
    sync.on("peer", ({ code }) => codes.add(code));
  }
  const scarce = scarcity(granted, refusedMax);
  if (isAcquainted) void b.db.set("b", "v".repeat(40)).catch(() => undefined);
  else b.sync.addPeer("a:1");
  // What is thrown into a timer or the network ends this.
  await cluster.world.run(SCARCE_MS);
  scarce.end();
  expect(await cluster.converge(), `after ${granted}`).toBe(true);
  await cluster.during(a.sync.synced(undefined, { peers: 1 }));
  for (const { db } of [a, b]) {
    expect(db.status().state).toBe("open");
    expect(db.count({ prefix: "a" })).toBe(KEYS);
    portOf(db).verify();
    expect(portOf(db).engine.hasPins()).toBe(false);
  }
  expect(connections().filter(({ isClosed }) => !isClosed)).toHaveLength(2);
  expect(codes).not.toContain("INVARIANT");
  for (const error of errors) expect(error).toBeInstanceOf(RangeError);
  await cluster.close();
  return scarce.refused;
}

describe("no memory for a message, a page or a session", () => {
  it.each([
    [1, false],
    [Number.POSITIVE_INFINITY, false],
    [1, true],
    [Number.POSITIVE_INFINITY, true],
  ])(
    "delays peers and nothing else, whichever allocation is the first that fails: %d, met before: %s",
    async (refusedMax, isAcquainted) => {
      const step = refusedMax === 1 ? 1 : 3;
      let granted = 0;
      while ((await meet(granted, refusedMax, isAcquainted)) > 0) granted += step;
      expect(granted).toBeGreaterThan(10);
    },
  );
});
