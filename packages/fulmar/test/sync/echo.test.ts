import { afterEach, expect, test } from "vitest";
import type { Connection } from "../../src/base/runtime/interface.js";
import { Cluster } from "./support/cluster.js";
import { RawPeer, rawState } from "./support/raw-peer.js";

let cluster: Cluster;

afterEach(() => cluster.close());

/** Sends back each frame that comes, as it came. */
function mirror(connection: Connection): void {
  connection.limitFrames(2 ** 30);
  connection.start({
    frame: (bytes) => connection.send(bytes.slice()),
    drained: () => {},
    closed: () => {},
  });
}

test.each([
  ["with a secret", {}],
  ["without one", { secret: undefined }],
])("T-SYNC-07: who only says what it was told is no peer, and gets nothing: %s", async (_, options) => {
  cluster = new Cluster(61);
  const { transport } = cluster.world.runtime("mirror");
  let calls = 0;
  const settings = { frameBytesMax: 4096, connectionsMax: 16 };
  await cluster.during(
    transport.listen("mirror:1", settings, (connection) => {
      calls++;
      mirror(connection);
    }),
  );
  const a = await cluster.add("a", { peers: ["mirror:1"], ...options });
  const connected: unknown[] = [];
  a.sync.on("peer", (event) => connected.push(event));
  await cluster.during(a.db.set("k", "secret value"));
  await cluster.world.run(60_000);
  expect(calls).toBeGreaterThan(1);
  expect(connected).toEqual([]);
  const [peer] = a.sync.peers();
  expect([peer.state, peer.entriesSent, peer.lastError]).toEqual([
    "backoff",
    0,
    expect.stringContaining("PROTOCOL_VIOLATION"),
  ]);
  const waiting = a.sync.synced(undefined, { timeoutMs: 1000 });
  await expect(cluster.during(waiting)).rejects.toMatchObject({ code: "TIMEOUT" });
});

test("T-SYNC-07: what a proven peer sends back word for word is not taken for its own statement", async () => {
  cluster = new Cluster(62);
  const a = await cluster.add("a");
  await cluster.during(a.db.set("k", 1));
  const peer = await RawPeer.connect(cluster, "a:1", "c");
  peer.send(rawState({ number: 1 }));
  await cluster.world.run(100);
  expect(peer.ofType("page")).toHaveLength(1);
  const [{ lagCommits }] = a.sync.peers();
  expect(lagCommits).toBeGreaterThan(0);
  peer.isEcho = true;
  // It asks what became of the cut, states what it has, and hears itself each time.
  await cluster.world.run(3000);
  expect(peer.ofType("ask").length).toBeGreaterThan(0);
  const [still] = a.sync.peers();
  expect(still.lagCommits).toBe(lagCommits);
  await cluster.world.run(10_000);
  expect([a.sync.peers(), peer.isClosed]).toEqual([[], true]);
});
