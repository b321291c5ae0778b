import { afterEach, describe, expect, test } from "vitest";
import { open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { Cluster, type Node } from "./support/cluster.js";
import { DiskNode } from "./support/disk.js";
import { coverageOf, originId, RawPeer, rawEntries, rawPage, rawState } from "./support/raw-peer.js";

const TEN_YEARS_MS = 10 * 365 * 86_400_000;

let cluster: Cluster;

afterEach(() => cluster.close());

/** Everything that a store can do to be rid of what it needs no more. */
async function tidyUp(db: Store<unknown>): Promise<void> {
  await cluster.during(db.flush());
  db.sweep();
  while (portOf(db).engine.vacuum(1000));
  await cluster.during(db.checkpoint());
  portOf(db).verify();
}

const deletedAt = ({ db }: Node, key: string): unknown => [
  db.get(key),
  db.entry(key, { tombstones: true })?.tombstone,
];

/** How many entries were sent by all of them, and in how many cuts. */
function traffic(nodes: readonly Node[]): number[] {
  const peers = nodes.flatMap(({ sync }) => sync.peers());
  return [
    peers.reduce((sum, { entriesSent }) => sum + entriesSent, 0),
    peers.reduce((sum, { cuts }) => sum + cuts, 0),
  ];
}

describe("a deletion", () => {
  test("T-GC-02: holds for a peer that comes back after ten years, whatever was tidied up since", async () => {
    cluster = new Cluster(31);
    const disk = new DiskNode(cluster, "a");
    let a = await disk.join();
    const away = await cluster.add("b", { peers: ["a:1"] });
    await cluster.during(away.db.set("k", "of b"));
    await cluster.during(a.db.set("l", "of a", { ttl: 60_000 }));
    await cluster.during(a.db.set("m", "of a"));
    expect(await cluster.converge()).toBe(true);
    await cluster.during(away.sync.close());
    cluster.nodes.splice(cluster.nodes.indexOf(away), 1);
    for (const key of ["k", "m"]) await cluster.during(a.db.delete(key));
    for (let life = 0; life < 2; life++) {
      cluster.world.nowMs += TEN_YEARS_MS / 2;
      await cluster.world.run(60_000);
      await tidyUp(a.db);
      await disk.leave(a);
      a = await disk.join();
    }
    expect([away.db.get("k"), away.db.get("m")]).toEqual(["of b", "of a"]);
    const back = await cluster.addWith("b", away.db, { peers: ["a:1"] });
    expect(await cluster.converge()).toBe(true);
    for (const node of [a, back]) {
      expect(deletedAt(node, "k")).toEqual([undefined, "deleted"]);
      expect(deletedAt(node, "m")).toEqual([undefined, "deleted"]);
      expect(node.db.count()).toBe(0);
    }
  });

  test("T-GC-04: holds against a page with an older version that arrives after everybody knew of it", async () => {
    cluster = new Cluster(32, { pageBytes: 256 });
    const disk = new DiskNode(cluster, "a");
    let a = await disk.join();
    const [c, d] = [originId("c"), originId("d")];
    const old = rawPage({
      cut: 1,
      to: coverageOf({ c: 1 }),
      dictionary: [c],
      entries: rawEntries([{ key: "k", value: "old", origin: 1, seq: 1 }]),
    });
    const writer = await RawPeer.connect(cluster, "a:1", "c");
    writer.send(rawState({ number: 1 }), old);
    await cluster.world.run(100);
    expect(a.db.get("k")).toBe("old");
    await cluster.during(a.db.delete("k"));
    await cluster.world.run(100);
    // The only peer confirms the deletion, and all else that there is.
    const page = writer.last("page");
    writer.send(rawState({ number: 2, doneCut: page?.cut ?? 0, coverage: portOf(a.db).coverage().copy() }));
    await cluster.world.run(1000);
    expect(a.sync.peers()[0].lagCommits).toBe(0);
    await tidyUp(a.db);
    await disk.leave(a);
    a = await disk.join();
    // Now what was under way all the time: the same commit again, and one that nobody has seen.
    const late = await RawPeer.connect(cluster, "a:1", "d");
    const unseen = rawEntries([{ key: "k", value: "late", origin: 1, seq: 1 }]);
    late.send(rawState({ number: 1 }), old);
    await cluster.world.run(1000);
    late.send(rawPage({ cut: 2, to: coverageOf({ d: 1 }), dictionary: [d], entries: unseen }));
    await cluster.world.run(1000);
    expect(late.last("state")?.doneCut).toBe(2);
    expect(late.last("state")?.coverage.of(d).upTo).toBe(1);
    expect(deletedAt(a, "k")).toEqual([undefined, "deleted"]);
  });
});

describe("what one node has tidied up and another has not", () => {
  test("T-GC-03: makes no difference, and nothing crosses the network for it", async () => {
    cluster = new Cluster(33);
    const { world } = cluster;
    const runtime = world.runtime("ahead");
    const clock = { ...runtime.clock, wallMs: () => runtime.clock.wallMs() + 30_000 };
    const ahead = await cluster.addWith(
      "ahead",
      await cluster.during(open<unknown>(undefined, { runtime: { ...runtime, clock } })),
    );
    const behind = await cluster.add("behind", { peers: ["ahead:1"] });
    const both = [ahead, behind];
    for (let i = 0; i < 20; i++) await cluster.during(behind.db.set(`k${i}`, i, { ttl: 60_000 }));
    for (let i = 0; i < 5; i++) await cluster.during(ahead.db.delete(`k${i}`));
    expect(await cluster.converge()).toBe(true);
    await world.run(1000);
    const before = traffic(both);
    expect(await world.run(60_000, () => ahead.db.status().tombstones === 20)).toBe(true);
    while (portOf(ahead.db).engine.vacuum(1000));
    expect([cluster.isEqual(), behind.db.status().tombstones]).toEqual([true, 5]);
    // Many heartbeats, and then the other does the same.
    await world.run(20_000);
    expect([cluster.isEqual(), traffic(both)]).toEqual([true, before]);
    expect(await world.run(60_000, () => behind.db.status().tombstones === 20)).toBe(true);
    await world.run(20_000);
    expect([cluster.isEqual(), traffic(both)]).toEqual([true, before]);
  });
});

describe("that there was a peer", () => {
  test.each(["full", "relaxed"] as const)(
    "T-MEM-02: is known after a crash, so that what is deleted alone (%s) is deleted for it, too",
    async (durability) => {
      cluster = new Cluster(34);
      const disk = new DiskNode(cluster, "a");
      const a = await disk.join();
      const b = await cluster.add("b", { peers: ["a:1"] });
      for (const key of ["k", "l"]) await cluster.during(a.db.set(key, 1));
      expect(await cluster.converge()).toBe(true);
      await disk.powerCut(a);
      // It is opened by somebody who does not replicate, and lives on so for a while.
      for (const key of ["k", "l"]) {
        const alone = await disk.open();
        expect(alone.get(key)).toBe(1);
        await cluster.during(alone.delete(key, { durability }));
        await tidyUp(alone);
        expect(alone.status().tombstones).toBeGreaterThan(0);
        await cluster.during(alone.close());
      }
      const again = await disk.join();
      expect(await cluster.converge()).toBe(true);
      for (const node of [again, b]) expect([...node.db.keys()]).toEqual([]);
    },
  );

  test("T-MEM-02: is on the disk before anything is sent to it", async () => {
    cluster = new Cluster(35);
    const disk = new DiskNode(cluster, "a");
    const a = await disk.join();
    // Nobody was met yet; a peer could be, at any moment from now on.
    await disk.powerCut(a);
    const again = await disk.open();
    await cluster.during(again.set("k", 1));
    await cluster.during(again.delete("k"));
    await tidyUp(again);
    expect(again.status().tombstones).toBe(1);
    await cluster.during(again.close());
  });
});
