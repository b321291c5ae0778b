import { afterEach, expect, test } from "vitest";
import { open } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { areConnected, Cluster, type Node } from "./support/cluster.js";

const MIB = 1024 * 1024;

let cluster: Cluster;

afterEach(() => cluster.close());

/** A node without a limit, and one that has 1 MiB, which is checked whenever something changes. */
async function pair(): Promise<{ large: Node; small: Node; refusals: string[] }> {
  cluster = new Cluster(1, { pageBytes: 64 * 1024 });
  const runtime = cluster.world.runtime("small");
  const db = await cluster.during(open<unknown>(undefined, { runtime, maxMemory: MIB }));
  db.watch({}, () => expectWithin(small));
  const small = await cluster.addWith("small", db);
  const large = await cluster.add("large", { peers: ["small:1"] });
  await cluster.world.run(10_000, () => areConnected([large, small]) && cluster.isEqual());
  const refusals: string[] = [];
  small.sync.on("error", ({ error }) => refusals.push((error as { code?: string }).code ?? error.message));
  return { large, small, refusals };
}

function expectWithin({ db }: Node): void {
  const { usedBytes, leavingBytes } = db.status().memory;
  expect(usedBytes - leavingBytes).toBeLessThanOrEqual(MIB);
}

test("T-LIM-01: a cut of ten times the memory there is changes nothing, and is taken once it fits", async () => {
  const { large, small, refusals } = await pair();
  await cluster.during(small.db.set("own", 1));
  const operations = Array.from({ length: 200 }, (_, i) => {
    return { type: "set", key: `k${i}`, value: "v".repeat(50_000) } as const;
  });
  // One transaction, and many commits that wait to be sent.
  await cluster.during(large.db.batch(operations.slice(0, 100)));
  for (const { key, value } of operations.slice(100)) await cluster.during(large.db.set(key, value));
  await cluster.world.run(60_000);
  expect(new Set(refusals)).toEqual(new Set(["MEMORY_FULL"]));
  expect([[...small.db.keys()], small.db.status().state]).toEqual([["own"], "open"]);
  expectWithin(small);
  // Neither side forgets: what is missing is owed, and comes when there is room for it.
  expect(large.sync.peers()[0].lagCommits).toBeGreaterThan(100);
  await cluster.during(small.db.set("own", 2));
  for (let i = 10; i < 200; i++) await cluster.during(large.db.delete(`k${i}`));
  expect(await cluster.converge()).toBe(true);
  expect([small.db.count(), large.db.get("own")]).toEqual([11, 2]);
  expectWithin(small);
  portOf(small.db).verify();
});

test("T-LIM-01: what is kept of deletions for peers is held to the limit, too, and counted to the byte", async () => {
  const { large, small, refusals } = await pair();
  const { db } = small;
  // Deleted before they are there: nothing is replaced by this, and peers have to hear of it.
  const deleteAll = async (): Promise<void> => {
    for (let i = 0; i < 50_000; i += 100) {
      const operations = Array.from({ length: 100 }, (_, j) => ({ type: "delete", key: [i, j] }) as const);
      await cluster.during(db.batch(operations));
      expectWithin(small);
    }
  };
  await expect(deleteAll()).rejects.toMatchObject({ code: "MEMORY_FULL" });
  expect(db.status().tombstones).toBeGreaterThan(5000);
  portOf(db).verify();
  // Nor without waiting for the log, nor from a peer.
  await expect(Promise.all(Array.from({ length: 5000 }, (_, i) => db.delete(`x${i}`)))).rejects.toMatchObject(
    { code: "MEMORY_FULL" },
  );
  expectWithin(small);
  const operations = Array.from({ length: 20_000 }, (_, i) => ({ type: "delete", key: `y${i}` }) as const);
  await cluster.during(large.db.batch(operations));
  await cluster.world.run(30_000);
  expect(refusals).toContain("MEMORY_FULL");
  expectWithin(small);
  portOf(db).verify();
});

test("T-LIM-01: with peers, too, a key that is there can be deleted whatever is full, and makes room", async () => {
  const { small } = await pair();
  const { db } = small;
  let count = 0;
  const fill = async (): Promise<void> => {
    for (; ; count++) await cluster.during(db.set(`k${count}`, "v".repeat(1000)));
  };
  await expect(fill()).rejects.toMatchObject({ code: "MEMORY_FULL" });
  for (let i = 0; i < 20; i++) await cluster.during(db.delete(`k${i}`));
  expect(db.count()).toBe(count - 20);
  expectWithin(small);
  // One key goes for each that comes, and leaves its tombstone: in the end there is no room for another.
  const exchange = async (): Promise<void> => {
    for (let i = 20; i < count; i++) {
      const added = { type: "set", key: `other ${i}`, value: "v".repeat(1000) } as const;
      await cluster.during(db.batch([{ type: "delete", key: `k${i}` }, added]));
      expectWithin(small);
    }
  };
  await expect(exchange()).rejects.toMatchObject({ code: "MEMORY_FULL" });
  // A deleted key has a record already, and comes back for what its value takes.
  await cluster.during(db.delete("k100"));
  await cluster.during(db.set("k0", "short"));
  expectWithin(small);
  portOf(db).verify();
});

test("T-LIM-01: what is there can be overwritten while a peer is sent a state of it, and that is counted", async () => {
  cluster = new Cluster(1, { pageBytes: 1024 });
  const runtime = cluster.world.runtime("full");
  const db = await cluster.during(open<unknown>(undefined, { runtime, maxMemory: MIB }));
  const full = await cluster.addWith("full", db);
  const value = "v".repeat(1000);
  let count = 0;
  const fill = async (): Promise<void> => {
    for (; ; count++) await cluster.during(db.set(`k${count}`, value));
  };
  await expect(fill()).rejects.toMatchObject({ code: "MEMORY_FULL" });
  const empty = await cluster.add("empty", { peers: ["full:1"] });
  // It has not confirmed enough for the rest to be sent.
  expect(await cluster.world.run(10_000, () => db.status().memory.pinned.states > 0)).toBe(true);
  for (let i = 0; i < count; i++) await cluster.during(db.set(`k${i}`, value.toUpperCase()));
  const { usedBytes, leavingBytes, keptBytes, pinned } = db.status().memory;
  expect(pinned.states).toBe(1);
  expect(keptBytes).toBeGreaterThan(0.75 * MIB);
  // Overwriting is always allowed, and what is kept is listed.
  expect(usedBytes - leavingBytes - keptBytes).toBeLessThanOrEqual((1 + 1 / 64) * MIB);
  portOf(db).verify();
  const last = `k${count - 1}`;
  expect(await cluster.world.run(60_000, () => empty.db.get(last) === value.toUpperCase())).toBe(true);
  expect([empty.db.count(), empty.db.get("k0")]).toEqual([count, value.toUpperCase()]);
  expect(await cluster.world.run(60_000, () => db.status().memory.keptBytes === 0)).toBe(true);
  expect(db.status().memory.pinned.states).toBe(0);
  expectWithin(full);
  portOf(db).verify();
});

test("T-LIM-01: a full store takes what needs no room from a peer that it has never met", async () => {
  cluster = new Cluster(1);
  const runtime = cluster.world.runtime("full");
  const db = await cluster.during(open<unknown>(undefined, { runtime, maxMemory: MIB }));
  const full = await cluster.addWith("full", db);
  const fill = async (size: number): Promise<void> => {
    for (let i = 0; ; i++) await cluster.during(db.set([size, i], "v".repeat(size)));
  };
  // Until there is no room for an address either.
  for (const size of [1000, 1]) await expect(fill(size)).rejects.toMatchObject({ code: "MEMORY_FULL" });
  const fresh = await cluster.add("fresh", { peers: ["full:1"] });
  await cluster.world.run(10_000, () => fresh.db.has([1000, 0]));
  // It says who it is as well, which is sent together with this.
  await cluster.during(fresh.db.set([1000, 0], "V".repeat(1000)));
  expect(await cluster.converge(60_000)).toBe(true);
  expect(db.get([1000, 0])).toBe("V".repeat(1000));
  expectWithin(full);
  portOf(db).verify();
});
