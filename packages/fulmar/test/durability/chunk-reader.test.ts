import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalBytes } from "../../src/base/bytes.js";
import type { FileHandle } from "../../src/base/runtime/interface.js";
import { CHUNK_BYTES, ChunkReader } from "../../src/durability/chunk-reader.js";

/** Not zeros, and different in each chunk. */
const FILE = Uint8Array.from({ length: 5 * CHUNK_BYTES + 12_345 }, (_, i) => (i * 31 + (i >>> 8)) & 255);

/** A file in memory that counts calls, and whose reads at or beyond `failFrom` fail. */
function fileHandle(failFrom = Number.POSITIVE_INFINITY) {
  const state = { reads: 0, underWay: 0 };
  const read = async (target: Uint8Array, position: number): Promise<number> => {
    state.reads++;
    state.underWay++;
    await new Promise((resolve) => setImmediate(resolve));
    state.underWay--;
    if (position + target.length > failFrom) throw Object.assign(new Error("no"), { code: "EIO" });
    const part = FILE.subarray(position, position + target.length);
    target.set(part);
    return part.length;
  };
  return { handle: { path: "file", read } as unknown as FileHandle, state };
}

async function expectLoaded(reader: ChunkReader, position: number, length: number): Promise<void> {
  const at = await reader.load(position, length);
  expect(at).toBe(reader.index(position, length));
  const loaded = reader.bytes.subarray(at, at + length);
  expect(equalBytes(loaded, FILE.subarray(position, position + length)), `${length} at ${position}`).toBe(
    true,
  );
}

describe("chunk reader", () => {
  it("gives the bytes of the file, whatever is asked for, reading ahead or not", async () => {
    const length = fc.oneof(
      { arbitrary: fc.nat(2000), weight: 3 },
      fc.nat(700_000),
      fc.constantFrom(CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 5),
    );
    // Mostly onwards with an overlap, as a reader of records does; sometimes back or far ahead.
    const step = fc.oneof(
      { arbitrary: fc.nat(600_000), weight: 5 },
      fc.integer({ min: -CHUNK_BYTES, max: 3 * CHUNK_BYTES }),
    );
    const requests = fc.array(fc.tuple(step, length), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fc.boolean(), requests, async (readsAhead, steps) => {
        const { handle, state } = fileHandle();
        const reader = new ChunkReader(handle, FILE.length, readsAhead);
        let position = 0;
        for (const [by, wanted] of steps) {
          position = Math.max(0, Math.min(FILE.length - wanted, position + by));
          await expectLoaded(reader, position, wanted);
        }
        expect(await reader.load(position, FILE.length - position + 1)).toBe(-1);
        await reader.stop();
        expect(state.underWay).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it("reads the next chunk while one is used, and each byte once", async () => {
    const { handle, state } = fileHandle();
    const reader = new ChunkReader(handle, FILE.length, true);
    for (let position = 0; position + 1000 <= FILE.length; position += 1000) {
      if (reader.index(position, 1000) >= 0) continue;
      await expectLoaded(reader, position, 1000);
      const isLast = position >= 5 * CHUNK_BYTES - 1000;
      expect(state.underWay).toBe(isLast ? 0 : 1);
    }
    expect(state.reads).toBe(6);
    await reader.stop();
  });

  it("tells of a failed read when its bytes are needed, and not before", async () => {
    const { handle } = fileHandle(CHUNK_BYTES + 1);
    const reader = new ChunkReader(handle, FILE.length, true);
    await expectLoaded(reader, 0, 1000);
    await expectLoaded(reader, CHUNK_BYTES - 1000, 1000);
    await expect(reader.load(CHUNK_BYTES - 1000, 1001)).rejects.toMatchObject({ code: "IO_ERROR" });
    await reader.stop();
    const other = new ChunkReader(handle, FILE.length, true);
    await expectLoaded(other, 0, 1000);
    await other.stop();
  });
});
