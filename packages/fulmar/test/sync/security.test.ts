import { readdirSync, rmSync, statSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { writeU56 } from "../../src/base/bytes.js";
import type { Cryptography } from "../../src/base/runtime/interface.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open, type Store } from "../../src/index.js";
import { DEADLINE_BYTES, ENTRY_HEADER_BYTES, HAS_DEADLINE } from "../../src/record/entry.js";
import { portOf } from "../../src/store/port.js";
import { type Replicator, replicate } from "../../src/sync/index.js";
import { decodeMessage } from "../../src/sync/protocol/decode.js";
import { encodeMessage } from "../../src/sync/protocol/encode.js";
import { areConnected, Cluster } from "./support/cluster.js";
import { coverageOf, originId, RawPeer, rawEntries, rawPage, rawState } from "./support/raw-peer.js";

const SECRET = "correct horse battery staple";
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listening(): Promise<{ db: Store<unknown>; sync: Replicator; port: number }> {
  const db = await open();
  cleanups.push(() => db.close());
  const sync = await replicate(db, { listen: "127.0.0.1:0", secret: SECRET });
  return { db, sync, port: Number(sync.address?.split(":").at(-1)) };
}

/** A stranger's socket, and when it is closed. */
function knock(port: number): { socket: Socket; closed: Promise<void>; heard: () => number } {
  const socket = connect(port, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  let bytes = 0;
  socket.on("data", (data) => {
    bytes += data.length;
  });
  socket.on("error", () => {});
  return {
    socket,
    closed: new Promise((resolve) => socket.once("close", () => resolve())),
    heard: () => bytes,
  };
}

describe("SEC: what a stranger can do to a real listener", () => {
  it.each([
    ["frame length: 4 GiB announced", Buffer.alloc(4, 255)],
    ["frame length: nothing announced", Buffer.alloc(4)],
    ["many small frames", Buffer.from("01000000ff".repeat(50_000), "hex")],
    ["HTTP from a browser", Buffer.from("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n{}")],
    ["TLS from a scanner", Buffer.from("16030100c8010000c40303", "hex")],
  ])("%s: closed, unanswered, and nobody else notices", async (_, bytes) => {
    const { db, port, sync } = await listening();
    const { socket, closed, heard } = knock(port);
    socket.write(bytes);
    await closed;
    // At most the REJECT that says why.
    expect(heard()).toBeLessThan(300);
    await db.set("k", 1);
    expect(sync.peers()).toEqual([]);
  });

  it("unauthenticated peer: random frames of any length reach nothing behind the handshake", async () => {
    const { db, port } = await listening();
    const before = portOf(db).origins.size;
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const { socket, closed } = knock(port);
        const length = 1 + ((i * 97) % 4000);
        const frame = Buffer.alloc(4 + length, i);
        frame.writeUInt32LE(length, 0);
        frame[4] = 1 + (i % 7);
        socket.write(frame);
        await closed;
      }),
    );
    expect(db.count()).toBe(0);
    expect(portOf(db).origins.size).toBe(before);
  });
});

describe("SEC: identity", () => {
  it("who only claims to be a member cannot take that member's connection", async () => {
    const cluster = new Cluster(1);
    cleanups.push(() => cluster.close());
    const a = await cluster.add("a");
    const b = await cluster.add("b", { peers: ["a:1"] });
    await cluster.world.run(1000, () => areConnected([a, b]));
    const peersBefore = a.sync.peers().map(({ id, bytesReceived }) => [id, bytesReceived > 0]);
    const lost: unknown[] = [];
    a.sync.on("peer", (event) => lost.push(event));
    const { transport } = cluster.world.runtime("x");
    const connection = await cluster.during(
      transport.connect("a:1", { timeoutMs: 1000, frameBytesMax: 4096 }),
    );
    connection.start({ frame: () => {}, drained: () => {}, closed: () => {} });
    const hello = {
      type: "hello",
      versionOldest: 1,
      versionNewest: 1,
      sealed: true,
      initiator: true,
      incarnation: portOf(b.db).incarnation,
      nonce: new Uint8Array(32),
      cluster: "",
      name: "b",
    } as const;
    connection.send(encodeMessage(hello));
    connection.send(encodeMessage({ type: "auth", proof: new Uint8Array(32) }));
    await cluster.world.run(200);
    expect(lost).toEqual([]);
    expect(a.sync.peers().map(({ id, bytesReceived }) => [id, bytesReceived > 0])).toEqual(peersBefore);
  });

  it("a node whose data directory is in use twice, or was set back, is told so and takes no part", async () => {
    const cluster = new Cluster(1);
    cleanups.push(() => cluster.close());
    const a = await cluster.add("a");
    const texts: string[] = [];
    a.sync.on("violation", ({ text }) => texts.push(text));
    const peer = await RawPeer.connect(cluster, "a:1", "c");
    const claim = coverageOf({});
    claim.set(portOf(a.db).incarnation, { upTo: 7, holes: [] });
    peer.send(rawState({ number: 1, coverage: claim }));
    await cluster.world.run(100);
    expect(texts).toEqual([expect.stringContaining("an older or second copy of this data directory")]);
  });
});

it("SEC: secrets compare: a proof is compared by the runtime's constant-time function, at full length", async () => {
  const runtime = nodeRuntime();
  const compared: number[][] = [];
  const cryptography: Cryptography = {
    ...runtime.cryptography,
    equal: (a, b) => {
      compared.push([a.length, b.length]);
      return runtime.cryptography.equal(a, b);
    },
  };
  const db = await open(undefined, { runtime: { ...runtime, cryptography } });
  cleanups.push(() => db.close());
  const sync = await replicate(db, { listen: "127.0.0.1:0", secret: SECRET });
  const other = await open();
  cleanups.push(() => other.close());
  await replicate(other, { peers: [sync.address ?? ""], secret: SECRET });
  await db.set("k", 1);
  await sync.synced();
  expect(compared).toEqual([[32, 32]]);
});

describe("SEC: TTL abuse", () => {
  const withDeadline = (write: (bytes: Uint8Array) => void) => {
    const { bytes, count } = rawEntries([{ key: "k", value: "v", origin: 1, seq: 1 }]);
    const longer = new Uint8Array(bytes.length + DEADLINE_BYTES);
    longer.set(bytes.subarray(0, ENTRY_HEADER_BYTES));
    longer.set(bytes.subarray(ENTRY_HEADER_BYTES), ENTRY_HEADER_BYTES + DEADLINE_BYTES);
    longer[2] |= HAS_DEADLINE;
    write(longer);
    const to = coverageOf({ c: 1 });
    return rawPage({ cut: 1, to, dictionary: [originId("c")], entries: { bytes: longer, count } });
  };

  it("a deadline beyond 2^53 is no message; the longest and the shortest do what they say", async () => {
    const beyond = withDeadline((bytes) =>
      bytes.fill(255, ENTRY_HEADER_BYTES, ENTRY_HEADER_BYTES + DEADLINE_BYTES),
    );
    expect(decodeMessage(encodeMessage(beyond)).ok).toBe(false);
    for (const [deadline, isThere] of [
      [Number.MAX_SAFE_INTEGER, true],
      [0, false],
    ] as const) {
      const cluster = new Cluster(1);
      const a = await cluster.add("a");
      const peer = await RawPeer.connect(cluster, "a:1", "c");
      peer.send(
        rawState({ number: 1 }),
        withDeadline((bytes) => writeU56(bytes, ENTRY_HEADER_BYTES, deadline)),
      );
      await cluster.world.run(2000);
      expect(peer.last("state")?.doneCut).toBe(1);
      expect(a.db.has("k")).toBe(isThere);
      await cluster.close();
    }
  });
});

it("SEC: logs/metrics: neither the secret nor keys and values are in what a node tells of itself", async () => {
  const runtime = nodeRuntime();
  const told: string[] = [];
  const keep = (what: unknown): void => {
    told.push(
      JSON.stringify(what, (_, value: unknown) =>
        value instanceof Error ? { ...value, message: value.message, stack: value.stack } : value,
      ),
    );
  };
  const diagnostics = { emit: (event: string, details: () => object) => keep([event, details()]) };
  const db = await open(undefined, { runtime: { ...runtime, diagnostics } });
  cleanups.push(() => db.close());
  const sync = await replicate(db, { listen: "127.0.0.1:0", secret: SECRET });
  for (const event of ["peer", "merge", "refused", "violation", "error"] as const) sync.on(event, keep);
  const violated = new Promise((resolve) => sync.on("violation", resolve));
  const [friend, stranger] = [await open(), await open()];
  cleanups.push(() => Promise.all([friend.close(), stranger.close()]));
  const merged = new Promise((resolve) => sync.on("merge", (event) => event.applied > 0 && resolve(event)));
  await replicate(friend, { peers: [sync.address ?? ""], secret: SECRET });
  await replicate(stranger, { peers: [sync.address ?? ""], secret: "a quite different secret" });
  await friend.set("key-of-a-patient", "value-of-a-patient");
  await Promise.all([violated, merged]);
  keep([sync.peers(), sync.members(), sync.counts(), sync.address, db.status()]);
  await expect(replicate(friend, { secret: SECRET, sceret: SECRET } as never)).rejects.toSatisfy((error) => {
    keep(error);
    return true;
  });
  expect(told.length).toBeGreaterThan(5);
  const text = told.join("\n");
  for (const private_ of [SECRET, "key-of-a-patient", "value-of-a-patient"]) {
    expect(text).not.toContain(private_);
    expect(text).not.toContain(Buffer.from(private_).toString("hex"));
    expect(text).not.toContain([...Buffer.from(private_)].join(","));
  }
});

it("SEC: data files: nobody else can read a store, whatever the umask", async () => {
  const root = await mkdtemp(join(tmpdir(), "fulmar-mode-"));
  cleanups.push(() => rmSync(root, { recursive: true, force: true }));
  const umask = process.umask(0);
  try {
    const db = await open(join(root, "store"));
    cleanups.push(() => db.close());
    await db.set("k", 1);
    await db.checkpoint();
  } finally {
    process.umask(umask);
  }
  expect(statSync(join(root, "store")).mode & 0o077).toBe(0);
  const names = readdirSync(join(root, "store"), { recursive: true, encoding: "utf8" });
  expect(names.length).toBeGreaterThan(3);
  for (const name of names)
    expect([name, statSync(join(root, "store", name)).mode & 0o077]).toEqual([name, 0]);
});
