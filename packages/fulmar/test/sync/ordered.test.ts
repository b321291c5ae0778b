import { afterEach, describe, expect, it } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { type OpenOptions, open, restore, type Store } from "../../src/index.js";
import { encodeKey } from "../../src/keys/key.js";
import { Coverage } from "../../src/record/coverage.js";
import { entryBytes, writeEntry } from "../../src/record/entry.js";
import { portOf } from "../../src/store/port.js";
import { type Replicator, replicate } from "../../src/sync/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

/** Keys for which the order by origin takes several turns of the event loop. */
const KEYS = 10_000;
const PEER = "00".repeat(15).concat("bb");
const SECRET = "0123456789abcdef";

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function opened(directory?: string, options: OpenOptions<number> = {}): Promise<Store<number>> {
  const db = await open<number>(directory, options);
  cleanups.push(() => db.close());
  return db;
}

async function fill(db: Store<number>): Promise<void> {
  await db.batch(Array.from({ length: KEYS }, (_, i) => ({ type: "set" as const, key: ["n", i], value: i })));
  for (let i = 0; i < KEYS; i += 100) await db.delete(["n", i]);
}

async function replicated(db: Store<number>, peers: string[] = []): Promise<Replicator> {
  const sync = await replicate(db, { listen: "127.0.0.1:0", secret: SECRET, peers });
  cleanups.push(() => sync.close());
  expect(portOf(db).engine.isOrderedByOrigin).toBe(true);
  portOf(db).verify();
  return sync;
}

/** Another store that gets everything from this one, whatever was written when. */
async function expectServed(db: Store<number>, sync: Replicator): Promise<void> {
  const other = await opened();
  const otherSync = await replicated(other, [sync.address ?? ""]);
  while (other.digest() !== db.digest())
    await new Promise<void>((done) => otherSync.on("merge", () => done()));
  expect(other.count()).toBe(db.count());
  await otherSync.close();
}

function mergeOne(db: Store<number>, seq: number, value: number): Promise<unknown> {
  const port = portOf(db);
  const key = encodeKey("of a peer", 4096);
  const bytes = new TextEncoder().encode(String(value));
  const page = new Uint8Array(entryBytes(key.length, bytes.length, 0));
  const stamp = { origin: port.origins.intern(PEER), hlc: seq, seq, deadline: 0 };
  const valueChecksum = port.runtime.checksum.crc32(bytes, 0, bytes.length, 0);
  writeEntry(page, 0, { key, value: bytes, flags: 0, ...stamp, valueChecksum });
  const covered = new Coverage();
  covered.set(PEER, { upTo: seq, holes: [] });
  return port.merge([page], covered);
}

describe("a store that held much before it replicates", () => {
  it("serves all of it, with what is written, deleted and merged while it is being ordered", async () => {
    const db = await opened();
    await fill(db);
    const { engine } = portOf(db);
    using before = db.snapshot();
    const starting = replicated(db);
    let written = 0;
    const merged: Promise<unknown>[] = [];
    for (let i = 0; !engine.isOrderedByOrigin; i++) {
      for (let j = i % 3; j < KEYS; j += 501, written++)
        db.set(["n", (j * 7 + i) % KEYS], -1).catch(() => {});
      db.delete(["n", (i * 37) % KEYS]).catch(() => {});
      db.set(["new", i], i).catch(() => {});
      merged.push(mergeOne(db, i + 1, i));
      const snapshot = db.snapshot();
      if (i % 2 === 0) snapshot.close();
      else cleanups.push(async () => snapshot.close());
      portOf(db).verify();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const sync = await starting;
    await Promise.all(merged);
    expect(merged.length).toBeGreaterThan(2);
    expect(written).toBeGreaterThan(0);
    expect([before.get(["n", 1]), before.get(["n", 0]), before.count()]).toEqual([1, undefined, KEYS * 0.99]);
    await expectServed(db, sync);
    portOf(db).verify();
  });

  it("does so again after a restart, and from a backup", async () => {
    const { runtime } = simulatedStorage({ cryptography: nodeCryptography });
    const real = { ...nodeRuntime(), fileSystem: runtime.fileSystem };
    const first = await opened("/first", { runtime: real });
    await fill(first);
    const sync = await replicated(first);
    await first.set("late", 1);
    const { path } = await first.backup("/backup");
    await sync.close();
    await first.close();
    await restore(path, "/restored", { runtime: real });
    for (const directory of ["/first", "/restored"]) {
      const db = await opened(directory, { runtime: real });
      expect(portOf(db).engine.isOrderedByOrigin).toBe(false);
      await expectServed(db, await replicated(db));
      expect(db.get("late")).toBe(1);
    }
  });

  it("is closed in the middle of it", async () => {
    const db = await opened();
    await fill(db);
    const starting = replicate(db, {});
    expect(portOf(db).engine.isOrderedByOrigin).toBe(false);
    await db.close();
    await expect(starting).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("a store without peers", () => {
  it("has no order by origin, nor keeps that by which evicted keys were enrolled", async () => {
    const { runtime } = simulatedStorage({ cryptography: nodeCryptography });
    const plain = await opened("/d", { runtime });
    await fill(plain);
    expect(portOf(plain).engine.isOrderedByOrigin).toBe(false);
    await plain.close();
    const evicting = await opened("/d", { runtime, maxMemory: 50_000_000, eviction: "lru" });
    expect(portOf(evicting).engine.isOrderedByOrigin).toBe(false);
    expect(evicting.count()).toBe(KEYS * 0.99);
    portOf(evicting).verify();
    await expect(replicate(evicting, {})).rejects.toMatchObject({ code: "EVICTION_WITH_PEERS" });
  });
});
