import { afterEach, describe, expect, test } from "vitest";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { open, repair, restore, type Store } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { edit } from "../durability/harness.js";
import { Cluster, type Node } from "./support/cluster.js";

let cluster: Cluster;

afterEach(() => cluster.close());

/** A runtime of the virtual world whose disk is one that all of them share, so that files can be carried over. */
function onDisk(host: string, fileSystem: Runtime["fileSystem"]): Runtime {
  return { ...cluster.world.runtime(host), fileSystem };
}

async function addRestored(
  host: string,
  backup: string,
  disk: Runtime["fileSystem"],
  peers: string[],
): Promise<Node> {
  const runtime = onDisk(host, disk);
  await cluster.during(restore(backup, `/${host}`, { runtime }));
  return cluster.addWith(host, await cluster.during(open(`/${host}`, { runtime })), { peers });
}

describe("a restored store among its former peers", () => {
  test("T-ID-02: gives out no number that they know, gets what it missed, and brings nothing back", async () => {
    cluster = new Cluster(11);
    const { fileSystem } = simulatedStorage({ cryptography: nodeCryptography }).runtime;
    const first = await cluster.during(open<unknown>("/a", { runtime: onDisk("a", fileSystem) }));
    const a = await cluster.addWith("a", first);
    const b = await cluster.add("b", { peers: ["a:1"] });
    for (let n = 0; n < 10; n++) await cluster.during(a.db.set(["n", n], "old"));
    await cluster.during(b.db.set("of b", 1));
    expect(await cluster.converge()).toBe(true);
    const { path } = await cluster.during(a.db.backup("/backup"));
    await cluster.during(a.db.set(["n", 0], "after the backup"));
    await cluster.during(a.db.delete(["n", 1]));
    await cluster.during(b.db.set("late", 1));
    expect(await cluster.converge()).toBe(true);
    const stamps = new Set([...a.db.list()].map(({ stamp }) => `${stamp.origin} ${stamp.seq}`));
    await cluster.during(a.sync.close());
    await cluster.during(a.db.close());
    cluster.nodes.splice(cluster.nodes.indexOf(a), 1);
    // It writes before it meets anybody, when it cannot know what its peers have.
    const runtime = onDisk("c", fileSystem);
    await cluster.during(restore(path, "/c", { runtime }));
    const again = await cluster.during(open<unknown>("/c", { runtime }));
    const { stamp } = await cluster.during(again.set("alone", 1));
    expect(stamps.has(`${stamp.origin} ${stamp.seq}`)).toBe(false);
    const c = await cluster.addWith("c", again, { peers: ["b:1"] });
    expect(await cluster.converge()).toBe(true);
    for (const { db } of [b, c]) {
      expect([db.get(["n", 0]), db.get(["n", 1]), db.get(["n", 2])]).toEqual([
        "after the backup",
        undefined,
        "old",
      ]);
      expect([db.get("of b"), db.get("late"), db.get("alone")]).toEqual([1, 1, 1]);
    }
  });

  test("a repaired store gets what it lost from its peers, and they get what only it had", async () => {
    cluster = new Cluster(13);
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const { fileSystem } = storage.runtime;
    const runtime = onDisk("a", fileSystem);
    const a = await cluster.addWith("a", await cluster.during(open<unknown>("/a", { runtime })));
    const b = await cluster.add("b", { peers: ["a:1"] });
    await cluster.during(a.db.set("before", "whole"));
    await cluster.during(a.db.set("hit", "precious"));
    await cluster.during(b.db.set("of b", "foreign"));
    await cluster.during(a.db.set("gone", 1));
    expect(await cluster.converge()).toBe(true);
    await cluster.during(a.db.delete("gone"));
    expect(await cluster.converge()).toBe(true);
    await cluster.during(a.sync.close());
    await cluster.during(a.db.set("unseen", "only here"));
    await cluster.during(a.db.close());
    cluster.nodes.splice(cluster.nodes.indexOf(a), 1);
    await edit(storage, "/a/log/000000000001.log", (bytes) => {
      bytes[Buffer.from(bytes).indexOf("precious")] ^= 1;
      return bytes;
    });
    const restarted = onDisk("a", storage.runtime.fileSystem);
    const report = await cluster.during(repair("/a", { runtime: restarted }));
    expect(report.repaired).toBe(true);
    const again = await cluster.during(open<unknown>("/a", { runtime: restarted }));
    expect([again.get("hit"), again.get("before"), again.get("unseen")]).toEqual([
      undefined,
      "whole",
      "only here",
    ]);
    await cluster.addWith("a", again, { peers: ["b:1"] });
    expect(await cluster.converge()).toBe(true);
    for (const { db } of [{ db: again }, b]) {
      expect([db.get("before"), db.get("hit"), db.get("of b")]).toEqual(["whole", "precious", "foreign"]);
      expect([db.get("gone"), db.get("unseen")]).toEqual([undefined, "only here"]);
    }
  });

  test("two stores restored from one backup, and the original, converge", async () => {
    cluster = new Cluster(12);
    const { fileSystem } = simulatedStorage({ cryptography: nodeCryptography }).runtime;
    const first = await cluster.during(open<unknown>("/a", { runtime: onDisk("a", fileSystem) }));
    for (let n = 0; n < 5; n++) await cluster.during(first.set(["n", n], n));
    const { path } = await cluster.during(first.backup("/backup"));
    // It never had a peer, so no tombstone tells of this.
    await cluster.during(first.delete(["n", 1]));
    await cluster.during(first.set(["n", 2], "new"));
    await cluster.during(first.flush());
    await cluster.addWith("a", first);
    await addRestored("b", path, fileSystem, ["a:1"]);
    await addRestored("c", path, fileSystem, ["a:1", "b:1"]);
    expect(await cluster.converge()).toBe(true);
    for (const { db } of cluster.nodes) expect(db.get(["n", 2])).toBe("new");
  });
});

test("T-ID-02: a node whose directory was set back in place writes first, and everybody gets everything", async () => {
  cluster = new Cluster(14);
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const reopened = (): Promise<Store<unknown>> =>
    cluster.during(open<unknown>("/a", { runtime: onDisk("a", storage.runtime.fileSystem) }));
  const leave = async ({ sync, db, host }: Node): Promise<void> => {
    await cluster.during(sync.close());
    await cluster.during(db.close());
    cluster.nodes.splice(
      cluster.nodes.findIndex((node) => node.host === host),
      1,
    );
  };
  const first = await cluster.addWith("a", await reopened());
  const b = await cluster.add("b", { peers: ["a:1"] });
  await cluster.during(first.db.set("both", 1));
  expect(await cluster.converge()).toBe(true);
  await leave(first);
  const copy = [...storage.disk.image()];
  const later = await cluster.addWith("a", await reopened());
  for (let n = 0; n < 5; n++) await cluster.during(later.db.set(["lost", n], n));
  expect(await cluster.converge()).toBe(true);
  await leave(later);
  for (const [path, bytes] of copy) await edit(storage, path, () => bytes);
  const again = await reopened();
  // As many as were lost, before it can hear of those.
  for (let n = 0; n < 5; n++) await cluster.during(again.set(["new", n], n));
  await cluster.addWith("a", again, { peers: ["b:1"] });
  expect(await cluster.converge()).toBe(true);
  for (const db of [again, b.db]) {
    for (let n = 0; n < 5; n++) expect([db.get(["lost", n]), db.get(["new", n])]).toEqual([n, n]);
  }
});
