import { afterEach, describe, expect, it } from "vitest";
import { open, type Store } from "../../src/index.js";
import { portOf, registerPort, type StorePort } from "../../src/store/port.js";
import { replicate } from "../../src/sync/index.js";
import { areConnected, Cluster, type Node } from "./support/cluster.js";
import { DiskNode } from "./support/disk.js";

let cluster: Cluster;

afterEach(() => cluster.close());

async function fill(node: Node, count: number, size = 100): Promise<void> {
  for (let i = 0; i < count; i++) await cluster.during(node.db.set(`${node.host}${i}`, "v".repeat(size)));
}

/** How many commits it took. */
function countCommits(node: Node): () => number {
  let commits = 0;
  node.db.watch({}, () => commits++);
  return () => commits;
}

describe("pulls of many pages", () => {
  it("T-SYNC-06: brings all origins from one peer that has them from others", async () => {
    cluster = new Cluster(1, { pageBytes: 256 });
    const a = await cluster.add("a");
    const b = await cluster.add("b", { peers: ["a:1"] });
    const c = await cluster.add("c", { peers: ["b:1"] });
    for (const node of [a, b, c]) await fill(node, 10);
    expect(await cluster.converge()).toBe(true);
    const d = await cluster.add("d", { peers: ["c:1"] });
    const commits = countCommits(d);
    expect(await cluster.converge()).toBe(true);
    expect(commits()).toBe(1);
    expect(d.db.count()).toBe(30);
  });

  it("T-SYNC-03: writes between pages, under origins already read, are not lost", async () => {
    cluster = new Cluster(1, { pageBytes: 256 });
    const a = await cluster.add("a");
    await fill(a, 60);
    const b = await cluster.add("b", { peers: ["a:1"] });
    for (let i = 0; i < 60; i++) {
      await cluster.world.run(4);
      if (i % 2 === 0) await cluster.during(a.db.set(`a${59 - i}`, "new"));
      else await cluster.during(a.db.delete(`a${i}`));
    }
    expect(await cluster.converge()).toBe(true);
    expect(b.db.count()).toBe(a.db.count());
    expect(b.db.get("a1")).toBe(a.db.get("a1"));
  });

  it("T-SYNC-11: goes on where it was broken off, again and again", async () => {
    cluster = new Cluster(1, { pageBytes: 512, reconnect: { leastMs: 10, mostMs: 20 } });
    const a = await cluster.add("a");
    await fill(a, 500);
    const b = await cluster.add("b", { peers: ["a:1"] });
    const commits = countCommits(b);
    let cuts = 0;
    while (!cluster.isEqual() && cuts < 100) {
      // Long enough for a handshake and some pages, never for all of them.
      await cluster.world.run(100, () => cluster.isEqual());
      cluster.world.cut("b");
      cuts++;
    }
    expect(cluster.isEqual()).toBe(true);
    expect(cuts).toBeGreaterThan(2);
    expect(commits()).toBe(1);
  });

  it("T-SYNC-11: another peer completes what one began, without sending it all again", async () => {
    cluster = new Cluster(1, { pageBytes: 512 });
    const a = await cluster.add("a");
    const c = await cluster.add("c", { peers: ["a:1"] });
    await fill(a, 200);
    expect(await cluster.converge()).toBe(true);
    const b = await cluster.add("b", { peers: ["a:1", "c:1"] });
    cluster.world.block("b", "c");
    await cluster.world.run(10_000, () => areConnected([b]));
    await cluster.world.run(100);
    expect(b.db.count()).toBe(0);
    expect(b.sync.counts().stagedBytes).toBeGreaterThan(2000);
    cluster.world.block("b", "a");
    cluster.world.unblock("b", "c");
    expect(await cluster.converge(60_000, [b, c])).toBe(true);
    const sent = c.sync.peers().find((peer) => peer.id === portOf(b.db).incarnation)?.entriesSent ?? 0;
    expect(sent).toBeLessThan(200);
    expect(b.db.count()).toBe(200);
  });

  it("progressive: shows each page at once", async () => {
    cluster = new Cluster(1, { pageBytes: 512 });
    const a = await cluster.add("a");
    await fill(a, 100);
    const b = await cluster.add("b", { peers: ["a:1"], bootstrap: "progressive" });
    const commits = countCommits(b);
    expect(await cluster.converge()).toBe(true);
    expect(commits()).toBeGreaterThan(5);
    expect(b.sync.counts().overflows).toBe(0);
  });

  it("a pull that outgrows stagedBytesMax is published in parts, and counted", async () => {
    cluster = new Cluster(1, { pageBytes: 512 });
    const a = await cluster.add("a");
    await fill(a, 100);
    const b = await cluster.add("b", { peers: ["a:1"], stagedBytesMax: 4096 });
    const commits = countCommits(b);
    expect(await cluster.converge()).toBe(true);
    expect(commits()).toBeGreaterThan(2);
    expect(b.sync.counts().overflows).toBeGreaterThan(1);
    expect(b.sync.counts().stagedBytes).toBe(0);
  });

  it("takes no more than stagedBytesMax while the store is busy publishing", async () => {
    cluster = new Cluster(1, { pageBytes: 512 });
    const { world } = cluster;
    const db = await cluster.during(open(undefined, { runtime: world.runtime("b") }));
    const port = portOf(db);
    const slow = {} as Store;
    let stagedMost = 0;
    const merge: StorePort["merge"] = async (pages, adds) => {
      await new Promise<void>((resolve) => void world.at(500, resolve));
      return port.merge(pages, adds);
    };
    const get = (target: StorePort, name: string | symbol): unknown =>
      name === "merge" ? merge : Reflect.get(target, name);
    registerPort(slow, new Proxy(port, { get }));
    const a = await cluster.add("a");
    await fill(a, 100);
    const sync = await cluster.during(
      replicate(slow, {
        peers: ["a:1"],
        secret: "0123456789abcdef",
        stagedBytesMax: 2048,
        heartbeatMs: 2000,
      }),
    );
    const isDone = (): boolean => {
      stagedMost = Math.max(stagedMost, sync.counts().stagedBytes);
      return db.count() === 100;
    };
    expect(await world.run(120_000, isDone)).toBe(true);
    expect(stagedMost).toBeLessThan(2048 + 2 * 700);
    await cluster.during(sync.close());
    await cluster.during(db.close());
  });

  it("divides a commit of many megabytes between pages, and shows it whole", async () => {
    cluster = new Cluster(1);
    const a = await cluster.add("a");
    const value = "v".repeat(400_000);
    const operations = Array.from({ length: 25 }, (_, i) => ({ type: "set" as const, key: `k${i}`, value }));
    await cluster.during(a.db.batch(operations));
    const b = await cluster.add("b", { peers: ["a:1"], bootstrap: "progressive" });
    let halves = 0;
    b.db.watch({}, () => {
      if (b.db.count() !== 25) halves++;
    });
    expect(await cluster.converge()).toBe(true);
    expect(halves).toBe(0);
  });

  it("T-LIM-03: a value over the peer's limit is one hole and costs nothing else", async () => {
    cluster = new Cluster(1);
    const a = await cluster.add("a");
    const { world } = cluster;
    const db = await cluster.during(
      open(undefined, { runtime: world.runtime("b"), limits: { valueBytesMax: 1000 } }),
    );
    const b = await cluster.addWith("b", db, { peers: ["a:1"] });
    await cluster.during(a.db.set("k1", "v"));
    await cluster.during(a.db.set("k2", "v".repeat(2000)));
    await cluster.during(a.db.set("k3", "v"));
    expect(await world.run(5000, () => b.db.has("k3"))).toBe(true);
    expect(b.db.has("k2")).toBe(false);
    await world.run(120_000);
    const [peer] = a.sync.peers();
    expect(peer.state).toBe("connected");
    expect(peer.cuts).toBeLessThan(15);
    expect(b.sync.peers()[0].refused["too-large"]).toBeGreaterThan(0);
    await cluster.during(a.db.set("k2", "short"));
    expect(await cluster.converge()).toBe(true);
  });
});

describe("members", () => {
  it("T-SYNC-04, T-SYNC-08: a store that lost everything rejoins and gets its old writes back", async () => {
    cluster = new Cluster(1, { discover: true });
    const a = await cluster.add("a");
    const b = await cluster.add("b", { peers: ["a:1"] });
    await cluster.during(b.db.set("old", 1));
    expect(await cluster.converge()).toBe(true);
    await cluster.during(b.sync.close());
    await cluster.during(b.db.close());
    cluster.nodes.pop();
    const again = await cluster.add("b", { peers: ["a:1"] });
    await cluster.during(again.db.set("new", 2));
    expect(await cluster.converge()).toBe(true);
    expect(a.db.get("new")).toBe(2);
    expect(again.db.get("old")).toBe(1);
  });

  it("T-MEM-01: a removed member is forgotten by all, and stays so when they open again", async () => {
    cluster = new Cluster(1, { discover: true });
    const disks = ["a", "b"].map((host) => new DiskNode(cluster, host));
    let nodes = [await disks[0].join(), await disks[1].join({ peers: ["a:1"] })];
    const c = await cluster.add("c", { peers: ["a:1"] });
    await cluster.world.run(20_000, () => areConnected([...nodes, c], 2));
    await cluster.during(c.sync.close());
    await cluster.during(c.db.close());
    cluster.nodes.pop();
    const id = nodes[0].sync.members().find((member) => member.address === "c:1")?.id ?? "";
    await cluster.during(nodes[0].sync.removePeer(id));
    expect(await cluster.converge()).toBe(true);
    await cluster.world.run(1000);
    for (const life of ["checkpoint", "log", "end"]) {
      for (const { sync } of nodes) {
        const addresses = sync.members().map((member) => member.address);
        expect(addresses.sort()).toEqual(["a:1", "b:1"]);
        expect(sync.peers().map((peer) => peer.address)).not.toContain("c:1");
      }
      if (life === "end") break;
      for (const [i, disk] of disks.entries()) {
        if (life === "checkpoint") await cluster.during(nodes[i].db.checkpoint());
        await disk.leave(nodes[i]);
      }
      nodes = [await disks[0].join(), await disks[1].join({ peers: ["a:1"] })];
      await cluster.world.run(20_000, () => areConnected(nodes, 1));
    }
  });

  it("tells which node is behind, and by how much", async () => {
    cluster = new Cluster(1);
    const a = await cluster.add("a", { peers: ["b:1"] });
    await cluster.add("b");
    await cluster.world.run(5000, () => areConnected(cluster.nodes));
    await cluster.world.run(1000);
    expect(a.sync.peers()[0]).toMatchObject({ lagCommits: 0, lagMs: 0, state: "connected" });
    cluster.world.faults.loss = 1;
    await fill(a, 3);
    await cluster.world.run(1000);
    expect(a.sync.peers()[0].lagCommits).toBe(3);
    expect(a.sync.peers()[0].lagMs).toBeGreaterThanOrEqual(1000);
    cluster.world.faults.loss = 0;
    expect(await cluster.converge()).toBe(true);
    await cluster.world.run(2000);
    expect(a.sync.peers()[0]).toMatchObject({ lagCommits: 0, lagMs: 0 });
  });
});
