import { describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeRuntime } from "../../../src/base/runtime/node/node-runtime.js";
import { PACKED_HEAD_BYTES, PAYLOAD_BYTES_MAX, pack, unpack } from "../../../src/durability/packing.js";

const TEXT = new TextEncoder().encode('{"name":"Ada","tags":["a","b"]}'.repeat(100));

/** A runtime that inflates to what a test says, and tells how much it was asked for. */
function inflating(inflated: Uint8Array | undefined): { runtime: Runtime; asked: number[] } {
  const asked: number[] = [];
  const node = nodeRuntime();
  const compression = {
    ...node.compression,
    inflate: (_bytes: Uint8Array, lengthBytes: number): Promise<Uint8Array | undefined> => {
      asked.push(lengthBytes);
      return Promise.resolve(inflated);
    },
  };
  return { runtime: { ...node, compression }, asked };
}

const packed = async (): Promise<Uint8Array> =>
  (await pack(nodeRuntime(), TEXT)) ?? expect.unreachable("text gets shorter");

describe("a payload", () => {
  test("comes back as it was, from fewer bytes", async () => {
    const bytes = await packed();
    expect(bytes.length).toBeLessThan(TEXT.length / 5);
    expect(readU32(bytes, 0)).toBe(TEXT.length);
    expect(await unpack(nodeRuntime(), bytes)).toEqual(TEXT);
  });

  test("that does not get shorter is not packed", async () => {
    const node = nodeRuntime();
    const deflating = (length: number): Runtime => {
      const deflate = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(length));
      return { ...node, compression: { ...node.compression, deflate } };
    };
    const payload = new Uint8Array(100);
    expect(await pack(deflating(100 - PACKED_HEAD_BYTES), payload)).toBeUndefined();
    expect(await pack(deflating(99 - PACKED_HEAD_BYTES), payload)).toHaveLength(99);
  });

  test("that a compressor got wrong is noticed by its own checksum", async () => {
    const wrong = TEXT.slice();
    wrong[1000] ^= 1;
    expect(await unpack(inflating(wrong).runtime, await packed())).toBeUndefined();
    expect(await unpack(inflating(TEXT).runtime, await packed())).toEqual(TEXT);
  });
});

describe("a length that was forged", () => {
  test.each([
    ["more than so few bytes can become", (stored: number) => 1032 * (stored - PACKED_HEAD_BYTES) + 1],
    ["more than a block can have", () => PAYLOAD_BYTES_MAX + 1],
    ["4 GiB", () => 2 ** 32 - 1],
    ["not more than is stored", (stored: number) => stored],
    ["nothing", () => 0],
  ])("to %s makes nothing be inflated", async (_name, claim) => {
    const bytes = await packed();
    const { runtime, asked } = inflating(TEXT);
    writeU32(bytes, 0, claim(bytes.length));
    expect(await unpack(runtime, bytes)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  test("to the most that is possible is tried", async () => {
    const bytes = await packed();
    const { runtime, asked } = inflating(undefined);
    const most = 1032 * (bytes.length - PACKED_HEAD_BYTES);
    writeU32(bytes, 0, most);
    expect(await unpack(runtime, bytes)).toBeUndefined();
    const large = new Uint8Array(100_000);
    writeU32(large, 0, PAYLOAD_BYTES_MAX);
    expect(await unpack(runtime, large)).toBeUndefined();
    expect(asked).toEqual([most, PAYLOAD_BYTES_MAX]);
  });

  test("is not read from bytes that are too few", async () => {
    const { runtime, asked } = inflating(TEXT);
    for (let length = 0; length <= PACKED_HEAD_BYTES; length++) {
      expect(await unpack(runtime, new Uint8Array(length).fill(1))).toBeUndefined();
    }
    expect(asked).toEqual([]);
  });
});
