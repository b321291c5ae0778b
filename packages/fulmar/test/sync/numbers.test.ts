import { expect, test } from "vitest";
import { open, type Store } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { areConnected, Cluster } from "./support/cluster.js";
import { DiskNode } from "./support/disk.js";

test("T-ID-01: a number whose entry was replaced by a peer's is not given out again", async () => {
  const cluster = new Cluster(21);
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const opened = (): Promise<Store<unknown>> => {
    const runtime = { ...cluster.world.runtime("a"), fileSystem: storage.runtime.fileSystem };
    return cluster.during(open<unknown>("/a", { runtime }));
  };
  const a = await cluster.addWith("a", await opened());
  const b = await cluster.add("b", { peers: ["a:1"] });
  const given = new Set<string>();
  for (let n = 0; n < 3; n++) {
    const { stamp } = await cluster.during(a.db.set("k", `a's ${n}`));
    given.add(`${stamp.origin} ${stamp.seq}`);
  }
  expect(await cluster.converge()).toBe(true);
  await cluster.during(b.db.set("k", "b's"));
  expect(await cluster.converge()).toBe(true);
  // No entry of a's own is left, neither in memory nor in the checkpoint.
  expect([...a.db.list()].map(({ stamp }) => stamp.origin)).toEqual([b.db.status().incarnation]);
  await cluster.during(a.db.checkpoint());
  await cluster.during(a.sync.close());
  await cluster.during(a.db.close());
  cluster.nodes.splice(cluster.nodes.indexOf(a), 1);
  const again = await opened();
  const { stamp } = await cluster.during(again.set("k", "a's again"));
  expect(stamp.origin).toBe(a.db.status().incarnation);
  expect(given).not.toContain(`${stamp.origin} ${stamp.seq}`);
  // Nor would b take it for one that it has: it is published.
  await cluster.addWith("a", again, { peers: ["b:1"] });
  expect(await cluster.converge()).toBe(true);
  expect(b.db.get("k")).toBe("a's again");
  await cluster.close();
});

test("T-ID-03: a node that lost its disk writes before it meets anybody, under numbers that nobody knows", async () => {
  const cluster = new Cluster(22);
  const hosts = ["a", "b", "c"];
  const peersOf = (host: string): string[] => hosts.filter((other) => other !== host).map((to) => `${to}:1`);
  const lost = await new DiskNode(cluster, "a").join({ peers: peersOf("a") });
  const rest = [];
  for (const host of ["b", "c"]) rest.push(await cluster.add(host, { peers: peersOf(host) }));
  const given = new Set<string>();
  for (let n = 0; n < 5; n++) {
    const { stamp } = await cluster.during(lost.db.set(["before", n], n));
    given.add(`${stamp.origin} ${stamp.seq}`);
  }
  expect(await cluster.converge()).toBe(true);
  // The same machine and name, an empty disk, and nobody answers.
  await cluster.during(lost.sync.close());
  cluster.nodes.splice(cluster.nodes.indexOf(lost), 1);
  for (const other of ["b", "c"]) {
    cluster.world.block("a", other);
    cluster.world.block(other, "a");
  }
  const violations: unknown[] = [];
  const again = await new DiskNode(cluster, "a").join({ peers: peersOf("a") });
  for (const { sync } of [again, ...rest]) {
    sync.on("violation", (event) => violations.push(event));
    sync.on("refused", (event) => violations.push(event));
  }
  for (let n = 0; n < 5; n++) {
    const { stamp } = await cluster.during(again.db.set(["after", n], n));
    expect(given).not.toContain(`${stamp.origin} ${stamp.seq}`);
    given.add(`${stamp.origin} ${stamp.seq}`);
  }
  await cluster.world.run(30_000);
  expect(again.db.count()).toBe(5);
  for (const other of ["b", "c"]) {
    cluster.world.unblock("a", other);
    cluster.world.unblock(other, "a");
  }
  await cluster.world.run(60_000, () => areConnected([again], 2));
  expect(await cluster.converge()).toBe(true);
  for (const { db } of [again, ...rest]) {
    for (let n = 0; n < 5; n++) expect([db.get(["before", n]), db.get(["after", n])]).toEqual([n, n]);
  }
  expect(violations).toEqual([]);
  await cluster.close();
});
