import { expect, test } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open } from "../../src/index.js";
import { type SimulatedNode, SimulatedWorld, simulatedStorage } from "../../src/testing/simulated/index.js";

const WRITERS = 80;
const ROUNDS = 8;
const FIXED = 40;
const FRESH = 20;

/** Counts the syncs of the log from now on. */
function countSyncs({ disk }: SimulatedNode): () => number {
  let count = 0;
  disk.onOperation = ({ kind, path }, phase) => {
    if (phase === "after" && kind === "sync" && path.includes("/log/")) count++;
  };
  return () => count;
}

/**
 * Many writers, each of which awaits its write before the next, until the power is cut: then whatever was told to be
 * durable has to be there.
 */
async function writeUntilCut(seed: string): Promise<{ acknowledged: number; syncs: number }> {
  const { cryptography } = nodeRuntime();
  const world = new SimulatedWorld({ seed, cryptography });
  const prng = world.prng.fork("test");
  const profile = prng.pick(["posix-strict", "ext4-like"] as const);
  const node = world.node("n", {
    disk: { profile, sectorAtomic: prng.chance(0.5) },
    diskLatencyMs: { least: 0.1, most: 0.4 },
  });
  const db = await world.complete(open<string>("/data", { runtime: node.runtime, codec: "text" }));
  await world.complete(db.set("first", "1", { durability: "full" }));
  const syncs = countSyncs(node);
  const acknowledged: string[] = [];
  let alive = true;
  const writer = async (number: number): Promise<void> => {
    for (let round = 0; round < ROUNDS && alive; round++) {
      const key = `${number}:${round}`;
      // What waits only for the write is handed over during a sync, and takes what gathered along.
      const durability = prng.chance(0.1) ? "relaxed" : "full";
      await db.set(key, key.repeat(1 + prng.below(20)), { durability });
      if (alive && durability === "full") acknowledged.push(key);
    }
  };
  for (let i = 0; i < WRITERS; i++) void writer(i).catch(() => undefined);
  await world.runFor(prng.fraction() * 3);
  alive = false;
  node.powerCut();
  const again = await world.complete(open<string>("/data", { runtime: node.restart(), codec: "text" }));
  const lost = acknowledged.filter((key) => again.get(key) === undefined);
  expect(lost, `seed ${seed}: acknowledged and not there after a power cut`).toEqual([]);
  await world.complete(again.close());
  return { acknowledged: acknowledged.length, syncs: syncs() };
}

test("what many writers were told is durable outlives a power cut, while groups are synced ahead", async () => {
  const fresh = `${Date.now()}`;
  console.log(`sync ahead: fresh seeds ${fresh}/0 to ${fresh}/${FRESH - 1}`);
  let acknowledged = 0;
  let syncs = 0;
  for (let i = 0; i < FIXED; i++) {
    const outcome = await writeUntilCut(`fixed/${i}`);
    acknowledged += outcome.acknowledged;
    syncs += outcome.syncs;
  }
  // Without syncing ahead it is 48 commits to a sync.
  expect(acknowledged).toBeGreaterThan(5000);
  expect(acknowledged / syncs).toBeLessThan(38);
  for (let i = 0; i < FRESH; i++) await writeUntilCut(`${fresh}/${i}`);
});

test("writers that go on between the end of a sync and the word of it find it under way", async () => {
  const { runtime } = simulatedStorage({ cryptography: nodeRuntime().cryptography });
  const db = await open<number>("/data", { runtime });
  await db.set("first", 1);
  const done: Promise<unknown>[] = [];
  // As many as two groups that are each worth a sync, between any two steps of what runs beside.
  for (let step = 0; step < 100; step++) {
    for (let i = 0; i < WRITERS; i++) done.push(db.set([step, i], i));
    await undefined;
  }
  await Promise.all(done);
  expect(db.status().state).toBe("open");
  await db.close();
});
