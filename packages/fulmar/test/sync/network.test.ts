import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { open } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { replicate } from "../../src/sync/index.js";
import { AtomicityChecker } from "./support/atomicity.js";
import { areConnected, Cluster } from "./support/cluster.js";

const KEYS = Array.from({ length: 8 }, (_, i) => `k${i}`);

/** Some of the keys, each at most once. */
function someKeys(cluster: Cluster): string[] {
  const count = 1 + cluster.world.below(3);
  return [...new Set(Array.from({ length: count }, () => KEYS[cluster.world.below(KEYS.length)]))];
}

describe("replication over a network that loses, repeats and reorders", () => {
  it("T-SYNC-01, T-SYNC-03: random histories of 3 and 4 nodes converge, nobody sees half a transaction", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 2 ** 31 }),
        fc.constantFrom(3, 4),
        fc.boolean(),
        fc.boolean(),
        async (seed, count, isFaulty, isSealed) => {
          const cluster = new Cluster(seed, {
            pageBytes: 256,
            ...(isSealed ? {} : { secret: undefined }),
          });
          const { world } = cluster;
          if (isFaulty) Object.assign(world.faults, { loss: 0.05, repeat: 0.05, jitterMs: 20 });
          const checker = new AtomicityChecker(KEYS);
          for (let i = 0; i < count; i++) {
            // A ring, so that every entry has two ways.
            const node = await cluster.add(`n${i}`, { peers: [`n${(i + 1) % count}:1`] });
            checker.watch(node);
          }
          for (let step = 0; step < 40; step++) {
            const node = cluster.nodes[world.below(count)];
            const dice = world.below(10);
            const value = dice < 7 ? "v".repeat(world.below(200)) : undefined;
            if (dice < 8) await cluster.during(checker.write(node, someKeys(cluster), value));
            else if (dice < 9) world.cut(node.host);
            await world.run(world.below(30));
          }
          Object.assign(world.faults, { loss: 0, repeat: 0, jitterMs: 0 });
          const done = await cluster.converge();
          await cluster.close();
          expect(done).toBe(true);
          expect(checker.violations).toEqual([]);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("converges while the faults go on", async () => {
    const cluster = new Cluster(7, { pageBytes: 1024 });
    Object.assign(cluster.world.faults, { loss: 0.1, repeat: 0.1, jitterMs: 30 });
    const a = await cluster.add("a");
    const b = await cluster.add("b", { peers: ["a:1"] });
    for (let i = 0; i < 60; i++) await cluster.during(a.db.set(`k${i}`, "v".repeat(100)));
    for (let i = 0; i < 60; i++) await cluster.during(b.db.set(`l${i}`, "v".repeat(100)));
    expect(await cluster.converge(300_000)).toBe(true);
    await cluster.close();
  });

  it("T-TOPO-01: chain, star and ring relay", async () => {
    for (const peersOf of [
      (i: number) => (i === 0 ? [] : [`n${i - 1}:1`]),
      (i: number) => (i === 0 ? [] : ["n0:1"]),
      (i: number) => [`n${(i + 1) % 5}:1`],
    ]) {
      const cluster = new Cluster(3);
      for (let i = 0; i < 5; i++) await cluster.add(`n${i}`, { peers: peersOf(i) });
      for (const node of cluster.nodes) await cluster.during(node.db.set(node.host, node.host));
      expect(await cluster.converge()).toBe(true);
      expect(cluster.nodes.map(({ db }) => db.count())).toEqual([5, 5, 5, 5, 5]);
      await cluster.close();
    }
  });

  it("T-SYNC-12: a link that only one side can open carries both ways, in pages", async () => {
    const cluster = new Cluster(5, { pageBytes: 512 });
    cluster.world.block("a", "b");
    const a = await cluster.add("a", { peers: ["b:1"] });
    const b = await cluster.add("b", { peers: ["a:1"] });
    for (let i = 0; i < 50; i++) {
      await cluster.during(a.db.set(`a${i}`, "v".repeat(50)));
      await cluster.during(b.db.set(`b${i}`, "v".repeat(50)));
    }
    expect(await cluster.converge()).toBe(true);
    expect(a.db.count()).toBe(100);
    await cluster.close();
  });

  it("two nodes that dial each other keep one connection, the one of the smaller incarnation", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = new Cluster(seed);
      const { world } = cluster;
      const hosts = ["a", "b"];
      const stores = await cluster.during(
        Promise.all(hosts.map((host) => open(undefined, { runtime: world.runtime(host) }))),
      );
      const [a, b] = await cluster.during(
        Promise.all(
          stores.map((db, i) =>
            replicate(db, {
              listen: `${hosts[i]}:1`,
              peers: [`${hosts[1 - i]}:1`],
              secret: "0123456789abcdef",
            }),
          ),
        ),
      );
      await world.run(5000);
      const [toB] = a.peers();
      const [toA] = b.peers();
      expect([toA.state, toB.state]).toEqual(["connected", "connected"]);
      const isSmaller = portOf(stores[0]).incarnation < portOf(stores[1]).incarnation;
      expect([toB.direction, toA.direction]).toEqual(
        isSmaller ? ["outgoing", "incoming"] : ["incoming", "outgoing"],
      );
      for (const sync of [a, b]) await cluster.during(sync.close());
      for (const db of stores) await cluster.during(db.close());
    }
  });

  it("finds itself among its peers and stops there", async () => {
    const cluster = new Cluster(1);
    const a = await cluster.add("a", { peers: ["a:1"] });
    await cluster.world.run(5000);
    expect(a.sync.peers()).toEqual([]);
    await cluster.close();
  });

  it("T-OBS-01: shows a peer that cannot be reached, and waits longer each time", async () => {
    const cluster = new Cluster(1);
    const a = await cluster.add("a", { peers: ["b:1"] });
    await cluster.world.run(60_000);
    const [peer] = a.sync.peers();
    expect(peer.state).toBe("backoff");
    expect(peer.lastError).toContain("CONNECTION_LOST");
    expect(peer.address).toBe("b:1");
    await cluster.close();
  });

  it("T-OBS-01: shows a peer that answers and always refuses, until it does so no more", async () => {
    const cluster = new Cluster(1);
    const a = await cluster.add("a", { peers: ["b:1"] });
    const other = await cluster.add("b", { secret: "another secret of 16 bytes" });
    const violations: string[] = [];
    other.sync.on("violation", ({ code }) => violations.push(code));
    for (let minute = 0; minute < 3; minute++) {
      await cluster.world.run(60_000);
      const [peer] = a.sync.peers();
      expect([peer.state, peer.lastError]).toEqual([
        "backoff",
        expect.stringContaining("AUTHENTICATION_FAILED"),
      ]);
    }
    // Both sides can know of it, and it is tried rarely.
    expect(new Set(violations)).toEqual(new Set(["AUTHENTICATION_FAILED"]));
    expect(violations.length).toBeLessThan(40);
    await cluster.during(other.sync.close());
    cluster.nodes.splice(cluster.nodes.indexOf(other), 1);
    const b = await cluster.addWith("b", other.db);
    expect(await cluster.world.run(60_000, () => areConnected([a, b]))).toBe(true);
    expect(a.sync.peers()).toHaveLength(1);
    await cluster.close();
  });

  it("is quiet when nothing is different", async () => {
    const cluster = new Cluster(1);
    const a = await cluster.add("a");
    const b = await cluster.add("b", { peers: ["a:1"] });
    await cluster.during(a.db.set("k", 1));
    await cluster.converge();
    await cluster.world.run(1000);
    const before = b.sync.peers()[0];
    await cluster.world.run(20_000);
    const after = b.sync.peers()[0];
    expect(after.cuts).toBe(before.cuts);
    // Ten heartbeats of 2 s, each one STATE.
    expect(after.bytesSent - before.bytesSent).toBeLessThan(16 * 200);
    await cluster.close();
  });

  it("does not send a peer's own writes back, nor news that it hears first hand", async () => {
    const cluster = new Cluster(1, { discover: true });
    const a = await cluster.add("a");
    const b = await cluster.add("b", { peers: ["a:1"] });
    const c = await cluster.add("c", { peers: ["a:1", "b:1"] });
    await cluster.world.run(10_000, () => areConnected([a, b, c], 2) && cluster.isEqual());
    await cluster.world.run(5000);
    const count = (): number =>
      cluster.nodes.reduce(
        (sum, { sync }) => sum + sync.peers().reduce((s, peer) => s + peer.entriesSent, 0),
        0,
      );
    const before = count();
    for (let i = 0; i < 10; i++) {
      await cluster.during(a.db.set(`k${i}`, i));
      await cluster.world.run(1000);
    }
    expect(cluster.isEqual()).toBe(true);
    expect(count() - before).toBe(20);
    expect(c.db.count()).toBe(10);
    await cluster.close();
  });

  it("T-SYNC-09: news arrives by itself, without a heartbeat", async () => {
    const cluster = new Cluster(1, { heartbeatMs: 3_600_000 });
    const a = await cluster.add("a", { peers: ["b:1"] });
    const b = await cluster.add("b");
    await cluster.world.run(5000, () => areConnected([a, b]));
    await cluster.world.run(1000);
    for (let i = 0; i < 5; i++) {
      await cluster.during(a.db.set(`k${i}`, i));
      expect(await cluster.world.run(50, () => b.db.get(`k${i}`) === i)).toBe(true);
    }
    expect(a.sync.peers()[0]).toMatchObject({ cutsAbandoned: 0, refused: { ahead: 0 } });
    await cluster.close();
  });

  it("T-SYNC-10: a burst of far more than may be on the way is gathered into few cuts, and arrives", async () => {
    const cluster = new Cluster(1, { pageBytes: 256 });
    const a = await cluster.add("a", { peers: ["b:1"] });
    const b = await cluster.add("b");
    await cluster.world.run(5000, () => areConnected([a, b]));
    await cluster.world.run(1000);
    const before = a.sync.peers()[0].cuts;
    const writes: Promise<unknown>[] = [];
    for (let i = 0; i < 500; i++) writes.push(a.db.set(`k${i}`, i));
    await cluster.during(Promise.all(writes));
    expect(await cluster.converge()).toBe(true);
    expect(a.sync.peers()[0].cuts - before).toBeLessThanOrEqual(3);
    expect(b.db.count()).toBe(500);
    await cluster.close();
  });
});
