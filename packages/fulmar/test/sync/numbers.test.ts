import { expect, test } from "vitest";
import { open, type Store } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { Cluster } from "./support/cluster.js";

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
