import { afterEach, describe, expect, it } from "vitest";
import { open, type Store } from "../../src/index.js";
import { portOf, registerPort, type StorePort } from "../../src/store/port.js";
import { replicate } from "../../src/sync/index.js";
import { encodeMessage } from "../../src/sync/protocol/encode.js";
import { Cluster, type Node } from "./support/cluster.js";
import { coverageOf, originId, RawPeer, rawEntries, rawPage, rawState } from "./support/raw-peer.js";

let cluster: Cluster;

async function setUp(): Promise<Node> {
  cluster = new Cluster(1, { pageBytes: 256 });
  return cluster.add("a");
}

afterEach(async () => {
  await cluster.close();
});

/** A first page that brings x:1 to x:2 of three pages; the other pages bring 3 to 4 and 5 to 6. */
function part(index: number, cut: number, extra: object = {}): ReturnType<typeof rawPage> {
  const seq = 2 * index + 1;
  return rawPage({
    cut,
    index,
    last: index === 2,
    throughOrigin: originId("c"),
    throughSeq: seq + 1,
    dictionary: [originId("c")],
    ...(index === 0 ? { from: coverageOf({}), to: coverageOf({ c: 6 }) } : {}),
    entries: rawEntries([
      { key: `k${seq}`, value: "v", origin: 1, seq },
      { key: `k${seq + 1}`, value: "v", origin: 1, seq: seq + 1 },
    ]),
    ...extra,
  });
}

describe("what a node makes of what a peer says", () => {
  it("T-SEC-ACK: a peer that claims unknown commits of this node is cut off, in a statement and in a cut", async () => {
    const a = await setUp();
    await cluster.during(a.db.set("k", 1));
    const { incarnation } = portOf(a.db);
    const codes: string[] = [];
    a.sync.on("violation", (event) => codes.push(event.code));
    for (const [i, letter] of ["c", "d", "e"].entries()) {
      const peer = await RawPeer.connect(cluster, "a:1", letter);
      const claim = coverageOf({});
      claim.set(incarnation, { upTo: Number.MAX_SAFE_INTEGER, holes: [] });
      const messages = [
        rawState({ number: 1, coverage: claim }),
        rawState({ number: 1, staged: claim }),
        rawPage({ cut: 1, from: coverageOf({}), to: claim }),
      ];
      peer.send(messages[i]);
      await cluster.world.run(100);
      expect(peer.last("reject")?.code).toBe("PROTOCOL_VIOLATION");
      expect(peer.isClosed).toBe(true);
    }
    expect(codes).toEqual(["PROTOCOL_VIOLATION", "PROTOCOL_VIOLATION", "PROTOCOL_VIOLATION"]);
    expect(a.db.get("k")).toBe(1);
  });

  it("merges one page at once and states it", async () => {
    const a = await setUp();
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    peer.send(rawState({ number: 1 }), part(0, 1, { last: true, to: coverageOf({ c: 2 }) }));
    await cluster.world.run(100);
    expect(a.db.get("k2")).toBe("v");
    const state = peer.last("state");
    expect(state?.doneCut).toBe(1);
    expect(state?.coverage.of(originId("c")).upTo).toBe(2);
  });

  it("T-SYNC-01: takes nothing that starts beyond what is covered, and says so", async () => {
    const a = await setUp();
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    peer.send(
      rawState({ number: 1 }),
      rawPage({
        cut: 1,
        from: coverageOf({ c: 4 }),
        to: coverageOf({ c: 5 }),
        dictionary: [originId("c")],
        entries: rawEntries([{ key: "k", value: "v", origin: 1, seq: 5 }]),
      }),
    );
    await cluster.world.run(100);
    expect(peer.last("taken")).toMatchObject({ verdict: "gap", cut: 1 });
    expect(a.db.has("k")).toBe(false);
    expect(portOf(a.db).coverage().of(originId("c")).upTo).toBe(0);
  });

  it("T-SYNC-02: stages three pages of three writers and shows them at the last, in one commit", async () => {
    const a = await setUp();
    const versions = new Set<number>();
    a.db.watch({}, (commit) => versions.add(commit.version));
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    const dictionary = [originId("c"), originId("d"), originId("e")];
    const to = coverageOf({ c: 1, d: 1, e: 1 });
    peer.send(rawState({ number: 1 }));
    for (let index = 0; index < 3; index++) {
      peer.send(
        rawPage({
          cut: 1,
          index,
          last: index === 2,
          throughOrigin: dictionary[index],
          throughSeq: 1,
          dictionary,
          ...(index === 0 ? { to } : {}),
          entries: rawEntries([{ key: `k${index}`, value: "v", origin: index + 1, seq: 1 }]),
        }),
      );
      await cluster.world.run(50);
      expect(a.db.count()).toBe(index < 2 ? 0 : 3);
    }
    expect(versions.size).toBe(1);
    expect(portOf(a.db).coverage().includes(to)).toBe(true);
  });

  it("ignores repeated, late and early pages", async () => {
    const a = await setUp();
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    const first = part(0, 1);
    peer.send(
      rawState({ number: 1 }),
      first,
      part(2, 1),
      first,
      part(1, 1),
      part(1, 1),
      part(2, 1),
      part(2, 1),
      first,
    );
    await cluster.world.run(200);
    expect(a.db.count()).toBe(6);
    expect(portOf(a.db).coverage().of(originId("c"))).toEqual({ upTo: 6, holes: [] });
    expect(peer.isClosed).toBe(false);
  });

  it("T-SYNC-11: a broken pull is stated to the next peer, which completes it", async () => {
    const a = await setUp();
    const one = await RawPeer.connect(cluster, "a:1", "c");
    one.send(rawState({ number: 1 }), part(0, 1), part(1, 1));
    await cluster.world.run(50);
    one.connection.close();
    await cluster.world.run(50);
    expect(a.db.count()).toBe(0);
    const two = await RawPeer.connect(cluster, "a:1", "d");
    two.send(rawState({ number: 1 }));
    await cluster.world.run(50);
    const state = two.last("state");
    expect(state?.staged?.of(originId("c")).upTo).toBe(4);
    expect(state?.pulling).toBe(false);
    two.send(
      part(2, 1, {
        index: 0,
        onStage: true,
        epoch: state?.epoch,
        from: coverageOf({ c: 4 }),
        to: coverageOf({ c: 6 }),
      }),
    );
    await cluster.world.run(100);
    expect(a.db.count()).toBe(6);
    expect(two.last("state")?.staged).toBeUndefined();
  });

  it("what rests on a broken pull waits for all that it aimed at", async () => {
    const a = await setUp();
    const one = await RawPeer.connect(cluster, "a:1", "c");
    one.send(rawState({ number: 1 }), part(0, 1));
    await cluster.world.run(50);
    one.connection.close();
    const two = await RawPeer.connect(cluster, "a:1", "d");
    two.send(rawState({ number: 1 }));
    await cluster.world.run(50);
    // News of another writer, from a peer that does not have the rest of the broken pull.
    const page = rawPage({
      cut: 1,
      onStage: true,
      epoch: two.last("state")?.epoch ?? 0,
      to: coverageOf({ d: 1 }),
      dictionary: [originId("d")],
      entries: rawEntries([{ key: "d", value: "v", origin: 1, seq: 1 }]),
    });
    two.send(page);
    await cluster.world.run(1000);
    expect(a.db.count()).toBe(0);
    expect(two.last("state")?.doneCut).toBe(1);
    // Nobody carries it on: it is thrown away, and what was stated of it is withdrawn.
    two.send(rawState({ number: 2 }));
    for (let i = 0; i < 80; i++) {
      two.send(rawState({ number: 3 + i }));
      await cluster.world.run(1000);
    }
    expect(two.last("state")?.staged).toBeUndefined();
    expect(a.sync.counts().expired).toBe(1);
    two.send({ ...page, cut: 2 });
    await cluster.world.run(100);
    expect(two.last("taken")).toMatchObject({ verdict: "gap", cut: 2 });
    two.send({ ...page, cut: 3, onStage: false, epoch: 0 });
    await cluster.world.run(100);
    expect(a.db.get("d")).toBe("v");
  });

  it("lets one peer at a time send a cut of several pages, and whole cuts of others through", async () => {
    const a = await setUp();
    const one = await RawPeer.connect(cluster, "a:1", "c");
    const two = await RawPeer.connect(cluster, "a:1", "d");
    one.send(rawState({ number: 1 }), part(0, 1));
    two.send(rawState({ number: 1 }));
    await cluster.world.run(100);
    two.send(part(0, 1));
    await cluster.world.run(100);
    expect(two.last("taken")).toMatchObject({ verdict: "pulling", cut: 1 });
    expect(two.last("state")?.pulling).toBe(true);
    two.send(
      rawPage({
        cut: 2,
        to: coverageOf({ d: 1 }),
        dictionary: [originId("d")],
        entries: rawEntries([{ key: "d", value: "v", origin: 1, seq: 1 }]),
      }),
    );
    await cluster.world.run(100);
    expect(a.db.get("d")).toBe("v");
    expect(a.db.has("k1")).toBe(false);
  });

  it("T-CLK-02: a refused commit is a hole, others go on, and it is asked for again later", async () => {
    const a = await setUp();
    const refused: unknown[] = [];
    a.sync.on("refused", (event) => refused.push(...event.refusals));
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    const wallMs = 1_800_000_000_000 + 3_600_000;
    peer.send(
      rawState({ number: 1 }),
      rawPage({
        cut: 1,
        to: coverageOf({ c: 3, d: 1 }),
        dictionary: [originId("c"), originId("d")],
        entries: rawEntries([
          { key: "k1", value: "v", origin: 1, seq: 1 },
          { key: "k2", value: "v", origin: 1, seq: 2, wallMs },
          { key: "k3", value: "v", origin: 1, seq: 3 },
          { key: "d1", value: "v", origin: 2, seq: 1 },
        ]),
      }),
    );
    await cluster.world.run(100);
    expect(a.db.count()).toBe(3);
    expect(refused).toEqual([{ origin: originId("c"), seq: 2, reason: "ahead" }]);
    expect(a.sync.peers()[0].refused.ahead).toBe(1);
    const state = peer.last("state");
    expect(state?.coverage.of(originId("c"))).toEqual({ upTo: 3, holes: [{ from: 2, to: 2 }] });
    for (let i = 0; i < 50; i++) {
      peer.send(rawState({ number: 2 + i }));
      await cluster.world.run(1000);
    }
    expect(peer.ofType("state").filter((message) => message.retryHoles).length).toBeGreaterThan(0);
    expect(peer.ofType("state").filter((message) => message.retryHoles).length).toBeLessThan(5);
  });

  it("a message that makes no sense ends the session, not the node", async () => {
    const a = await setUp();
    let violations = 0;
    a.sync.on("violation", () => violations++);
    const nonsense = [
      Uint8Array.of(99),
      encodeMessage({ type: "auth", proof: new Uint8Array(32) }),
      encodeMessage(rawState({ number: 1 })).subarray(0, 20),
      encodeMessage(part(1, 1)).subarray(0, 60),
    ];
    for (const [i, bytes] of nonsense.entries()) {
      const peer = await RawPeer.connect(cluster, "a:1", "bcde"[i]);
      peer.send(rawState({ number: 1 }));
      peer.sendBytes(bytes);
      await cluster.world.run(100);
      expect(peer.isClosed).toBe(true);
    }
    expect(violations).toBe(nonsense.length);
  });

  it("a silent peer is given up after three heartbeats", async () => {
    const a = await setUp();
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    peer.send(rawState({ number: 1 }));
    await cluster.world.run(5000);
    expect(a.sync.peers()).toHaveLength(1);
    await cluster.world.run(10_000);
    expect(peer.isClosed).toBe(true);
    expect(a.sync.peers()).toHaveLength(0);
  });

  it("asks about a cut that is not answered, and begins afresh when the peer never got it", async () => {
    const a = await setUp();
    await cluster.during(a.db.set("k", "v"));
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    peer.send(rawState({ number: 1 }));
    await cluster.world.run(100);
    expect(peer.ofType("page").map((page) => page.cut)).toEqual([1]);
    // A statement from before says nothing about the cut.
    peer.send(rawState({ number: 2 }));
    await cluster.world.run(300);
    expect(peer.ofType("page")).toHaveLength(1);
    await cluster.world.run(500);
    const ask = peer.last("ask");
    expect(ask).toBeDefined();
    peer.send(rawState({ number: 3, answers: ask?.number ?? 0 }));
    await cluster.world.run(100);
    expect(peer.ofType("page").map((page) => page.cut)).toEqual([1, 2]);
    peer.send(rawState({ number: 4, doneCut: 2, coverage: peer.last("page")?.to ?? coverageOf({}) }));
    await cluster.world.run(2000);
    expect(peer.ofType("page")).toHaveLength(2);
  });

  it("sends a window of pages and no more until they are taken, and lets go of the cut after 30 s", async () => {
    const a = await setUp();
    const pins = (): number => a.db.status().memory.oldVersions;
    for (let i = 0; i < 40; i++) await cluster.during(a.db.set(`k${i}`, "v".repeat(100)));
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    peer.send(rawState({ number: 1 }));
    await cluster.world.run(100);
    expect(peer.ofType("page").map((page) => page.index)).toEqual([0, 1, 2, 3]);
    peer.send({ type: "taken", verdict: "taken", cut: 1, pages: 1 });
    await cluster.world.run(100);
    expect(peer.ofType("page").map((page) => page.index)).toEqual([0, 1, 2, 3, 4]);
    for (let i = 0; i < 40; i++) await cluster.during(a.db.set(`k${i}`, "w"));
    expect(pins()).toBeGreaterThan(0);
    for (let i = 0; i < 35; i++) {
      peer.send(rawState({ number: 2 + i }));
      await cluster.world.run(1000);
    }
    await cluster.during(a.db.set("other", 1));
    expect(pins()).toBe(0);
  });
});

describe("a store that cannot merge", () => {
  it("T-SYNC-05: does not confirm, takes nothing for a while, and gets it again", async () => {
    cluster = new Cluster(1);
    const { world } = cluster;
    const db = await cluster.during(open(undefined, { runtime: world.runtime("b") }));
    const port = portOf(db);
    let failures = 3;
    const merge: StorePort["merge"] = async (pages, adds) => {
      if (failures-- > 0) throw new Error("disk full");
      return port.merge(pages, adds);
    };
    const failing = {} as Store;
    registerPort(
      failing,
      new Proxy(port, { get: (target, name) => (name === "merge" ? merge : Reflect.get(target, name)) }),
    );
    const a = await cluster.add("a", { pageBytes: 256 });
    for (let i = 0; i < 30; i++) await cluster.during(a.db.set(`many${i}`, i));
    await cluster.during(a.db.set("k", 1));
    const sync = await cluster.during(
      replicate(failing, {
        peers: ["a:1"],
        secret: "0123456789abcdef",
        heartbeatMs: 2000,
        ackTimeoutMs: 500,
      }),
    );
    const errors: string[] = [];
    sync.on("error", ({ error }) => errors.push(error.message));
    await world.run(400);
    expect(db.has("k")).toBe(false);
    expect(port.coverage().covers(portOf(a.db).incarnation, 1)).toBe(false);
    expect(await world.run(60_000, () => db.has("k"))).toBe(true);
    expect(errors).toEqual(["disk full", "disk full", "disk full"]);
    expect(db.count()).toBe(31);
    // What was staged is kept meanwhile: nothing crosses the network twice.
    expect(a.sync.peers()[0].entriesSent).toBeLessThanOrEqual(32);
    await cluster.during(sync.close());
    await cluster.during(db.close());
  });
});
