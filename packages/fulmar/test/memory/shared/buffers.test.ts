import { describe, expect, it } from "vitest";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { SharedBuffers } from "../../../src/memory/shared/buffers.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { ascii, entry, put, quickHash } from "../fixtures.js";
import { SMALL } from "../offheap/shapes.js";
import { SteppedReader } from "./fixture.js";

describe("shared buffers", () => {
  it("are used again for what is not much smaller", () => {
    const { slabs, chunks } = new SharedBuffers();
    const first = slabs.allocate(1000);
    slabs.added(1, first);
    slabs.dropped(1, first, () => undefined);
    expect(chunks.allocate(400)).not.toBe(first);
    expect(slabs.allocate(1025)).not.toBe(first);
    expect(slabs.allocate(900)).toBe(first);
    expect(slabs.allocate(900)).not.toBe(first);
  });

  it("are not hoarded", () => {
    const buffers = new SharedBuffers();
    const all = Array.from({ length: 40 }, () => buffers.slabs.allocate(4 << 20));
    for (const [i, buffer] of all.entries()) buffers.slabs.added(i + 1, buffer);
    for (const [i, buffer] of all.entries()) buffers.slabs.dropped(i + 1, buffer, () => undefined);
    expect(buffers.idleBytes).toBe(64 << 20);
    expect(buffers.buffers("slab").size).toBe(0);
  });

  it("do not grow in number when large values are overwritten, and readers find each", () => {
    const sharing = new Sharing({ stepBytes: 1 });
    const engine = createEngine({ hash: quickHash, shape: SMALL, sharing });
    const made = new Set<SharedArrayBuffer>();
    sharing.buffers.mapped = (_kind, _number, buffer) => buffer !== undefined && made.add(buffer);
    const reader = new SteppedReader(sharing);
    for (let version = 1; version <= 300; version++) {
      const value = new Uint8Array(9000 + (version % 7) * 100).fill(version);
      put(engine, version, entry(ascii("key"), { seq: version, value }));
      engine.settle(version);
      reader.refresh();
      const [seen] = reader.scan(ALL_KEYS, false);
      expect(seen.startsWith(`${version} `)).toBe(true);
      expect(seen.endsWith((version % 256).toString(16).padStart(2, "0").repeat(9000))).toBe(true);
    }
    expect(made.size).toBeLessThan(12);
    engine.verify();
  });
});
