import { once } from "node:events";
import { expect, test, vi } from "vitest";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { openReader } from "../../src/index.js";
import type { MemoryEngine } from "../../src/memory/engine.js";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { Sharing } from "../../src/memory/shared/sharing.js";
import { HybridClock } from "../../src/record/hybrid-clock.js";
import { OriginTable } from "../../src/record/origins.js";
import { StoreReaders } from "../../src/store/readers.js";
import { ascii, entry, put, quickHash } from "../memory/fixtures.js";
import { scarcity } from "../memory/scarce.js";

const NEWS_MAX = 4096;

/** `post` is what happens in place of each message to a reader, if anything does. */
function setUp(post?: () => void): { readers: StoreReaders; sharing: Sharing; engine: MemoryEngine } {
  const base = nodeRuntime();
  const channel: typeof base.threads.channel = () => {
    const { own, other } = base.threads.channel();
    if (post !== undefined) vi.spyOn(own, "post").mockImplementation(post);
    return { own, other };
  };
  const runtime = { ...base, threads: { ...base.threads, channel } };
  const sharing = new Sharing();
  const engine = createEngine({ hash: quickHash, sharing });
  const clock = new HybridClock(runtime.clock);
  const origins = new OriginTable();
  const limits = DEFAULT_LIMITS;
  const parts = {
    runtime,
    sharing,
    origins,
    clock,
    limits,
    codec: "json",
    idleMs: 60_000,
    letGo: () => undefined,
  };
  return { readers: new StoreReaders(parts), sharing, engine };
}

test("news for a reader that does nothing are bounded: it is let go of", async () => {
  const { readers, sharing } = setUp();
  const handle = readers.handle();
  const reader = await openReader(handle);
  const buffer = new SharedArrayBuffer(8);
  for (let i = 1; i < NEWS_MAX; i++) sharing.buffers.mapped("slab", 7, buffer);
  // It takes all of them in with this, and begins anew.
  reader.refresh();
  for (let i = 1; i < NEWS_MAX; i++) sharing.buffers.mapped("slab", 7, buffer);
  expect(sharing.readers.size).toBe(1);
  sharing.buffers.mapped("slab", 7, buffer);
  sharing.buffers.mapped("slab", 7, buffer);
  await once(handle.port, "close");
  expect(sharing.readers.size).toBe(0);
  expect(() => reader.has(1)).toThrow(expect.objectContaining({ code: "REVOKED" }));
  await reader.close();
});

test("a reader that the store let go of hears so by its channel, and its place is free", async () => {
  const { readers, sharing } = setUp();
  const handle = readers.handle();
  const reader = await openReader(handle);
  const [attached] = sharing.readers;
  sharing.detach(attached);
  await once(handle.port, "close");
  expect(() => reader.refresh()).toThrow(expect.objectContaining({ code: "REVOKED" }));
  for (let i = 0; i < 256; i++) readers.handle();
  expect(() => readers.handle()).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  readers.close();
});

test("a reader for which the store has no memory is told so, and keeps nothing from going", async () => {
  const { readers, sharing, engine } = setUp();
  const handle = readers.handle();
  const closed = once(handle.port, "close");
  const opened = openReader(handle);
  const scarce = scarcity(0);
  await expect(opened).rejects.toMatchObject({ code: "REVOKED" });
  scarce.end();
  await closed;
  expect(sharing.readers.size).toBe(0);
  for (const version of [1, 2]) {
    put(engine, version, entry(ascii("key")));
    engine.settle(version);
  }
  expect(sharing.waiting).toEqual({ bytes: 0, cells: 0, nodes: 0 });
  const another = await openReader(readers.handle());
  expect(sharing.readers.size).toBe(1);
  await another.close();
});

test("a reader for which its own thread has no memory is let go of", async () => {
  const { readers, sharing } = setUp();
  const handle = readers.handle();
  const closed = once(handle.port, "close");
  const scarce = scarcity(1);
  await expect(openReader(handle)).rejects.toThrow("allocation");
  scarce.end();
  await closed;
  while (sharing.readers.size > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("a reader that cannot be told of everything is let go of", async () => {
  let told = 0;
  const { readers, sharing } = setUp(() => {
    if (++told > 1) throw new Error("Data cannot be cloned, out of memory.");
  });
  const handle = readers.handle();
  const closed = once(handle.port, "close");
  void openReader(handle).catch(() => undefined);
  while (sharing.readers.size === 0) await new Promise((resolve) => setImmediate(resolve));
  sharing.buffers.mapped("slab", 7, new SharedArrayBuffer(8));
  await closed;
  expect(sharing.readers.size).toBe(0);
});
