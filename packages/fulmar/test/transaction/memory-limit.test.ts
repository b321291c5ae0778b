import { expect, it } from "vitest";
import { createEngine } from "../../src/memory/offheap/engine.js";
import { createPlainEngine } from "../../src/memory/plain/engine.js";
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

it.each([
  ["off-heap", createEngine],
  ["plain", createPlainEngine],
])("T-LIM-01: a tombstone that is kept counts from its commit on until it is replaced: %s", (_, create) => {
  const engine = create({ hash: quickHash });
  engine.keepTombstones = true;
  const before = engine.usedBytes;
  const tombstone = entry(ascii("gone"));
  put(engine, 1, tombstone);
  // Not settled yet; and no record leaves when it is.
  expect(engine.usedBytes).toBeGreaterThan(before);
  expect(engine.leavingBytes).toBe(0);
  engine.settle(1);
  expect(engine.leavingBytes).toBe(0);
  const limit = new MemoryLimit(engine, engine.usedBytes, undefined);
  const wanted = { key: ascii("gone"), entryBytes: tombstone.length, isDeletion: false };
  expect(limit.admit([wanted])).toEqual([]);
  expect(limit.admit([{ ...wanted, isDeletion: true }])).toEqual([]);
  for (const isDeletion of [false, true]) {
    const other = { ...wanted, key: ascii("else"), isDeletion };
    expect(() => limit.admit([other])).toThrow(expect.objectContaining({ code: "MEMORY_FULL" }));
  }
  // What a rolled back commit had replaced stays as well.
  put(engine, 2, entry(ascii("gone"), { value: new Uint8Array(100) }));
  expect(engine.leavingBytes).toBeGreaterThan(0);
  engine.rollback(1);
  expect(engine.leavingBytes).toBe(0);
  put(engine, 2, tombstone);
  const { leavingBytes } = engine;
  put(engine, 3, entry(ascii("gone"), { value: new Uint8Array(100) }));
  engine.rollback(2);
  expect(engine.leavingBytes).toBe(leavingBytes);
  engine.settle(2);
  expect(engine.leavingBytes).toBe(0);
  engine.verify();
});
