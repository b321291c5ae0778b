import { expect, it } from "vitest";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { MemoryLimit } from "../../src/transaction/memory-limit.js";
import { ascii, entry, put, quickHash } from "../memory/fixtures.js";
import { SMALL } from "../memory/offheap/shapes.js";

it("frees what nobody needs before a write is refused, and leaves moving records to the background", () => {
  const engine = createEngine({ hash: quickHash, shape: { ...SMALL, vacuumAtOnce: 0 } });
  const write = (bytes: Uint8Array): void => {
    put(engine, engine.version + 1, bytes);
    engine.settle(engine.version);
  };
  const name = (index: number): Uint8Array => ascii(`key ${index}`);
  for (let i = 0; i < 500; i++) write(entry(name(i), { value: new Uint8Array(400) }));
  for (let i = 0; i < 500; i++) if (i % 10 !== 0) write(entry(name(i)));
  const pin = engine.pin(engine.version);
  for (let i = 0; i < 500; i += 10) write(entry(name(i), { value: new Uint8Array(300) }));
  pin.release();
  const limit = new MemoryLimit(engine, 1, undefined);
  expect(engine.usage().oldVersions).toBeGreaterThan(0);
  const change = { key: name(1), entryBytes: 500, isDeletion: false };
  expect(() => limit.admit([change])).toThrow(expect.objectContaining({ code: "MEMORY_FULL" }));
  const { oldVersions, overheadBytes } = engine.usage();
  expect(oldVersions).toBe(0);
  // Otherwise this would hold up the write for as long as it takes to move everything.
  while (engine.vacuum(100));
  expect(engine.usage().overheadBytes).toBeLessThan(overheadBytes / 2);
  engine.verify();
});
