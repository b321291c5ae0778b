import { afterEach, describe, expect, it } from "vitest";
import { COVERAGE_HOLES_MAX, ORIGINS_MAX } from "../../src/base/limits.js";
import { Coverage, type Hole } from "../../src/record/coverage.js";
import type { OriginId } from "../../src/record/origins.js";
import { portOf } from "../../src/store/port.js";
import { decodeMessage } from "../../src/sync/protocol/decode.js";
import { encodeMessage } from "../../src/sync/protocol/encode.js";
import { HANDSHAKE_MS_MAX, HOLES_IN_MESSAGE_MAX, STRANGERS_MAX } from "../../src/sync/protocol/limits.js";
import { areConnected, Cluster, type Node } from "./support/cluster.js";
import { coverageOf, originId, RawPeer, rawEntries, rawPage, rawState } from "./support/raw-peer.js";
import type { FakeConnection } from "./support/world.js";

let cluster: Cluster;

async function setUp(): Promise<Node> {
  cluster = new Cluster(1, { pageBytes: 256 });
  return cluster.add("a");
}

afterEach(async () => {
  await cluster?.close();
});

function invented(from: number, count: number): OriginId[] {
  return Array.from({ length: count }, (_, i) => (from + i + 1).toString(16).padStart(32, "0"));
}

function covering(origins: readonly OriginId[], upTo: number, holes: readonly Hole[] = []): Coverage {
  const coverage = new Coverage();
  for (const origin of origins) coverage.set(origin, { upTo, holes });
  return coverage;
}

/** So many holes of one number each. */
function holes(count: number): Hole[] {
  return Array.from({ length: count }, (_, i) => ({ from: 2 * i + 1, to: 2 * i + 1 }));
}

describe("SEC: nested/huge counts: coverage and origins from a peer are bounded", () => {
  it("a message with more origins or holes than a store could have is malformed", () => {
    const many = covering(invented(0, ORIGINS_MAX + 1), 1);
    expect(decodeMessage(encodeMessage(rawState({ number: 1, coverage: many }))).ok).toBe(false);
    const deep = covering(invented(0, 1), 2 ** 30, holes(4 * COVERAGE_HOLES_MAX + 1));
    expect(decodeMessage(encodeMessage(rawState({ number: 1, coverage: deep }))).ok).toBe(false);
    const each = COVERAGE_HOLES_MAX;
    const wide = (origins: number) =>
      encodeMessage(rawState({ number: 1, coverage: covering(invented(0, origins), 2 ** 30, holes(each)) }));
    expect(decodeMessage(wide(HOLES_IN_MESSAGE_MAX / each)).ok).toBe(true);
    expect(decodeMessage(wide(HOLES_IN_MESSAGE_MAX / each + 1)).ok).toBe(false);
  });

  it("a peer whose statements add up to more origins than a store knows is cut off", async () => {
    const a = await setUp();
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    const half = ORIGINS_MAX / 2;
    peer.send(rawState({ number: 1, coverage: covering(invented(0, half), 1) }));
    peer.send(rawState({ number: 2, coverage: covering(invented(half, half), 1) }));
    await cluster.world.run(100);
    expect(peer.isClosed).toBe(false);
    peer.send(rawState({ number: 3, coverage: covering(invented(2 * half, 1), 1) }));
    await cluster.world.run(100);
    expect(peer.last("reject")?.code).toBe("PROTOCOL_VIOLATION");
    await cluster.during(a.db.set("still", "here"));
  });

  it("who invents origins until the store is full of them is cut off, and stalls nobody else", async () => {
    const a = await setUp();
    const errors: Error[] = [];
    a.sync.on("error", ({ error }) => errors.push(error));
    const known = await RawPeer.connect(cluster, "a:1", "c");
    known.send(rawState({ number: 1 }), rawPage({ cut: 1, to: coverageOf({ c: 1 }) }));
    await cluster.world.run(100);
    const liar = await RawPeer.connect(cluster, "a:1", "d");
    liar.send(rawState({ number: 1 }));
    const size = ORIGINS_MAX - portOf(a.db).origins.size;
    liar.send(rawPage({ cut: 1, to: covering(invented(0, size), 1) }));
    await cluster.world.run(100);
    expect(liar.isClosed).toBe(false);
    liar.send(rawPage({ cut: 2, to: covering(invented(size, 1), 1) }));
    await cluster.world.run(100);
    expect(liar.last("reject")?.code).toBe("PROTOCOL_VIOLATION");
    expect(errors).toEqual([]);
    const entries = rawEntries([{ key: "k", value: "v", origin: 1, seq: 2 }]);
    const page = {
      from: coverageOf({ c: 1 }),
      to: coverageOf({ c: 2 }),
      dictionary: [originId("c")],
      entries,
    };
    known.send(rawPage({ cut: 2, ...page }));
    await cluster.world.run(100);
    expect(a.db.get("k")).toBe("v");
  });
});

describe("SEC: resource pinning: what a peer sends is held in proportion to what is counted", () => {
  it("a staged page keeps its entries, not the message that brought them", async () => {
    const a = await setUp();
    const buffers = new Set<ArrayBufferLike>();
    const port = portOf(a.db);
    const merge = port.merge.bind(port);
    port.merge = (pages, adds) => {
      for (const page of pages) buffers.add(page.buffer);
      return merge(pages, adds);
    };
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    peer.send(rawState({ number: 1 }));
    for (let index = 0; index < 3; index++) {
      const seq = index + 1;
      peer.send(
        rawPage({
          cut: 1,
          index,
          last: index === 2,
          throughOrigin: originId("c"),
          throughSeq: seq,
          dictionary: [originId("c"), ...invented(0, 4096)],
          ...(index === 0 ? { to: coverageOf({ c: 3 }) } : {}),
          entries: rawEntries([{ key: `k${seq}`, value: "v", origin: 1, seq }]),
        }),
      );
    }
    await cluster.world.run(100);
    expect(a.db.count()).toBe(3);
    const sizes = [...buffers].map((buffer) => buffer.byteLength);
    expect(sizes.length).toBeGreaterThan(0);
    expect(Math.max(...sizes)).toBeLessThan(4096);
  });

  it("a peer that sends and does not read makes no queue of answers", async () => {
    await setUp();
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    peer.send(rawState({ number: 1 }), rawPage({ cut: 1, last: false, to: coverageOf({ c: 9 }) }));
    await cluster.world.run(100);
    const answers = peer.received.length;
    const { other } = peer.connection as FakeConnection;
    if (other === undefined) throw new Error("the node has no connection");
    other.queuedBytes = 2 ** 26;
    for (let i = 0; i < 1000; i++) peer.send(rawPage({ cut: 1 }), { type: "ask", number: i });
    await cluster.world.run(20);
    expect(peer.received.length).toBe(answers);
    // It is told once it reads again.
    other.queuedBytes = 0;
    peer.send({ type: "ask", number: 1001 });
    await cluster.world.run(100);
    expect(peer.last("state")?.answers).toBe(1001);
  });
});

describe("SEC: many small frames", () => {
  it("a crowd of questions gets one answer", async () => {
    const a = await setUp();
    await cluster.during(a.db.set("k", 1));
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    peer.send(rawState({ number: 1 }));
    await cluster.world.run(1000);
    const before = peer.ofType("state").length;
    for (let i = 1; i <= 500; i++) peer.send({ type: "ask", number: i });
    await cluster.world.run(100);
    expect(peer.last("state")?.answers).toBe(500);
    expect(peer.ofType("state").length - before).toBeLessThan(5);
  });
});

describe("SEC: slowloris: strangers at the door", () => {
  it("a crowd of them does not keep a member out", async () => {
    const a = await setUp();
    const { transport } = cluster.world.runtime("mob");
    const closed: number[] = [];
    for (let i = 0; i < STRANGERS_MAX + 10; i++) {
      const stranger = await cluster.during(
        transport.connect("a:1", { timeoutMs: 1000, frameBytesMax: 4096 }),
      );
      stranger.start({ frame: () => {}, drained: () => {}, closed: () => closed.push(i) });
    }
    await cluster.world.run(100);
    // The oldest went, well before the time for a handshake was over.
    expect(cluster.world.nowMs).toBeLessThan(HANDSHAKE_MS_MAX);
    expect(closed).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const b = await cluster.add("b", { peers: ["a:1"] });
    expect(await cluster.world.run(1000, () => areConnected([a, b]))).toBe(true);
  });
});

describe("SEC: ack/clock poison", () => {
  it("a commit refused again and again is not sent again and again", async () => {
    cluster = new Cluster(1);
    const a = await cluster.add("a");
    const { open } = await import("../../src/index.js");
    const small = { runtime: cluster.world.runtime("b"), limits: { valueBytesMax: 32 } };
    const db = await cluster.during(open(undefined, small));
    // More holes than a coverage keeps: every other commit is too large for b.
    const writes: Promise<unknown>[] = [];
    for (let i = 0; i < 2 * COVERAGE_HOLES_MAX + 40; i++) {
      writes.push(a.db.set(`k${i}`, i % 2 === 0 ? "x".repeat(64) : i));
    }
    await cluster.during(Promise.all(writes));
    await cluster.addWith("b", db, { peers: ["a:1"] });
    await cluster.world.run(60_000);
    const status = a.sync.peers().find((peer) => peer.state === "connected");
    expect(db.count({})).toBeGreaterThan(COVERAGE_HOLES_MAX);
    expect(status?.cuts).toBeLessThan(30);
    // News is not held back for it.
    await cluster.during(a.db.set("news", 1));
    expect(await cluster.world.run(60_000, () => db.get("news") === 1)).toBe(true);
  });
});

describe("SEC: logs/metrics", () => {
  it("what a stranger says cannot steer a terminal, nor forge lines of a log", async () => {
    cluster = new Cluster(1);
    const { transport } = cluster.world.runtime("evil");
    await transport.listen("evil:1", { frameBytesMax: 4096, connectionsMax: 9 }, (connection) => {
      connection.start({ frame: () => {}, drained: () => {}, closed: () => {} });
      connection.send(
        encodeMessage({ type: "reject", code: "CLOSED", text: "\u001b[2J\r\nadmin logged in\u009b1m" }),
      );
    });
    const a = await cluster.add("a", { peers: ["evil:1"] });
    await cluster.world.run(1000);
    const error = a.sync.peers()[0]?.lastError ?? "";
    expect(error).toContain("admin logged in");
    expect(error).toMatch(/^[\x20-\x7e]+$/);
  });
});
