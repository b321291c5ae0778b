import { expect, test } from "vitest";
import { open, type Store } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { Cluster } from "../sync/support/cluster.js";

const openOn = (storage: SimulatedStorage): Promise<Store<string>> =>
  open<string>("/data", { runtime: storage.restart(), codec: "text" });

const deadlines = (db: Store<string>): unknown =>
  Object.fromEntries([...db.list()].map(({ key, expiresAt }) => [key, expiresAt]));

test.each([
  ["T-TTL-01", "kill", false],
  ["T-TTL-01", "power cut", false],
  ["T-TTL-02", "kill", true],
  ["T-TTL-02", "power cut", true],
] as const)("%s: a deadline is what it was after a %s, with a checkpoint: %s", async (_, end, checkpoint) => {
  const storage = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
  let db = await openOn(storage);
  await db.set("timed", "1", { ttl: 60_000 });
  await db.set("longer", "1", { ttl: 30_000 });
  await db.set("cleared", "1", { ttl: 60_000 });
  await db.set("late", "1");
  if (checkpoint) await db.checkpoint();
  else {
    await db.touch("longer", 90_000);
    await db.persist("cleared");
    await db.touch("late", 60_000);
  }
  const before = deadlines(db);
  for (let life = 0; life < 2; life++) {
    storage.clock.jump(10_000);
    // Nothing is saved by an orderly end.
    if (end === "kill") storage.kill();
    else storage.powerCut();
    db = await openOn(storage);
    expect(deadlines(db)).toEqual(before);
  }
  storage.clock.jump(40_001);
  expect([...db.keys()]).toEqual(checkpoint ? ["late"] : ["cleared", "longer"]);
  await db.close();
});

test("T-TTL-05: replicas whose clocks differ sweep one entry at different moments, and hold the same", async () => {
  const cluster = new Cluster(1);
  const skews = [0, 20_000, -20_000];
  for (const [i, skew] of skews.entries()) {
    const runtime = cluster.world.runtime(`n${i}`);
    const { clock } = runtime;
    const skewed = {
      ...runtime,
      clock: { wallMs: () => clock.wallMs() + skew, monotonicMs: () => clock.monotonicMs() },
    };
    const db = await cluster.during(open(undefined, { runtime: skewed }));
    await cluster.addWith(`n${i}`, db, i === 0 ? {} : { peers: ["n0:1"] });
  }
  const [own, ahead, behind] = cluster.nodes.map(({ db }) => db);
  const all = [own, ahead, behind];
  await cluster.during(own.set("gone", "1", { ttl: 60_000 }));
  await cluster.during(own.set("again", "1", { ttl: 60_000 }));
  expect(await cluster.converge()).toBe(true);
  // What the replicators keep for themselves counts, too.
  const entries = own.status().entries;
  const versions = all.map(({ version }) => version);
  const swept = (db: Store<unknown>): boolean => db.status().entries === entries - 2;
  expect(await cluster.world.run(120_000, () => swept(ahead))).toBe(true);
  // A sweep is no write: it is told to nobody, and takes nothing from who has not swept.
  expect([cluster.isEqual(), all.map(swept)]).toEqual([true, [false, true, false]]);
  expect([own.get("gone"), behind.get("gone"), ahead.get("gone")]).toEqual(["1", "1", undefined]);
  expect(all.map(({ version }, i) => version - versions[i])).toEqual([0, 1, 0]);
  // What is written before the others sweep stays, on all of them.
  await cluster.during(own.set("again", "2"));
  for (const [i, db] of [own, behind].entries()) {
    expect(
      await cluster.world.run(
        120_000,
        () => db.get("gone") === undefined && db.status().entries === entries - 1,
      ),
    ).toBe(true);
    expect([cluster.isEqual(), behind.has("gone")]).toEqual([true, i === 0]);
  }
  expect(all.map((db) => [db.get("again"), ...db.keys()])).toEqual(Array(3).fill(["2", "again"]));
  await cluster.close();
});
