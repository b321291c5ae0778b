import { afterEach, expect, test, vi } from "vitest";
import { portOf } from "../../src/store/port.js";
import { Cluster } from "./support/cluster.js";
import { RawPeer, rawState } from "./support/raw-peer.js";

let cluster: Cluster;

afterEach(() => cluster.close());

test("T-PERF-01: a flood of questions and statements reads no entry of the store", async () => {
  cluster = new Cluster(71);
  const a = await cluster.add("a");
  for (let i = 0; i < 1000; i++) await cluster.during(a.db.set(`k${i}`, i));
  const peer = await RawPeer.connect(cluster, "a:1", "c");
  const { engine, coverage } = portOf(a.db);
  peer.send(rawState({ number: 1, coverage: coverage().copy() }));
  await cluster.world.run(1000);
  const reads = (["byOrigin", "scan", "find", "digest"] as const).map((name) => vi.spyOn(engine, name));
  for (let number = 2; number < 2000; number++) {
    peer.send(rawState({ number, coverage: coverage().copy() }), { type: "ask", number });
    if (number % 100 === 0) await cluster.world.run(10);
  }
  await cluster.world.run(1000);
  expect(peer.last("state")?.answers).toBe(1999);
  expect(reads.map((read) => read.mock.calls.length)).toEqual([0, 0, 0, 0]);
  // That these are what it reads by: one commit is sent from them.
  await cluster.during(a.db.set("k", 1));
  await cluster.world.run(100);
  expect(peer.ofType("page")).toHaveLength(1);
  expect(reads[0]).toHaveBeenCalled();
});
