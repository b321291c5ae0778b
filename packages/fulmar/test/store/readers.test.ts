import { once } from "node:events";
import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { openReader } from "../../src/index.js";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { Sharing } from "../../src/memory/shared/sharing.js";
import { HybridClock } from "../../src/record/hybrid-clock.js";
import { OriginTable } from "../../src/record/origins.js";
import { StoreReaders } from "../../src/store/readers.js";
import { quickHash } from "../memory/fixtures.js";

const NEWS_MAX = 4096;

function setUp(): { readers: StoreReaders; sharing: Sharing } {
  const runtime = nodeRuntime();
  const sharing = new Sharing();
  createEngine({ hash: quickHash, sharing });
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
  return { readers: new StoreReaders(parts), sharing };
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
