import { getHeapStatistics } from "node:v8";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Compression } from "../../src/base/runtime/interface.js";
import { nodeCompression } from "../../src/base/runtime/node/compression.js";
import { simulatedStorage } from "../../src/testing/index.js";

const RUNTIMES: readonly (readonly [string, Compression])[] = [
  ["node", nodeCompression],
  ["simulated", simulatedStorage().runtime.compression],
];

describe.each(RUNTIMES)("compression of the %s runtime", (_name, compression) => {
  test("gives back what was deflated, and nothing for another length", async () => {
    const piece = fc.oneof(fc.uint8Array({ maxLength: 300 }), repeated());
    const bytes = fc
      .array(piece, { maxLength: 8 })
      .map((pieces) => new Uint8Array(Buffer.concat(pieces)))
      .filter(({ length }) => length > 0);
    await fc.assert(
      fc.asyncProperty(bytes, fc.nat(400), async (original, by) => {
        const deflated = await compression.deflate(original);
        expect(await compression.inflate(deflated, original.length)).toEqual(original);
        expect(await compression.inflate(deflated, original.length + 1 + by)).toBeUndefined();
        if (original.length > 1 + by)
          expect(await compression.inflate(deflated, original.length - 1 - by)).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });

  test("makes repetition short, and bytes by chance hardly longer", async () => {
    const zeros = new Uint8Array(64 * 1024);
    expect((await compression.deflate(zeros)).length).toBeLessThan(zeros.length / 40);
    const random = crypto.getRandomValues(new Uint8Array(64 * 1024));
    const deflated = await compression.deflate(random);
    expect(deflated.length).toBeLessThan(random.length * 1.02);
    expect(await compression.inflate(deflated, random.length)).toEqual(random);
  });

  test("tells bytes that are not deflated, in whole or in part", async () => {
    const text = new TextEncoder().encode("the same, the same, the same, aaaaaaaaaaaaaaaaaaaa".repeat(9));
    const deflated = await compression.deflate(text);
    for (let length = 0; length < deflated.length; length++) {
      expect(
        await compression.inflate(deflated.subarray(0, length), text.length),
        `${length}`,
      ).toBeUndefined();
    }
    expect(await compression.inflate(Uint8Array.of(0xff, 0xff, 0xff), 9)).toBeUndefined();
  });
});

describe("compression of the node runtime", () => {
  test("is raw DEFLATE, plain arrays in and out", async () => {
    const bytes = new TextEncoder().encode("abc".repeat(1000));
    const deflated = await nodeCompression.deflate(bytes);
    expect(Buffer.from(bytes).equals(inflateRawSync(deflated))).toBe(true);
    expect(deflated.constructor).toBe(Uint8Array);
    const inflated = await nodeCompression.inflate(deflateRawSync(bytes, { level: 9 }), bytes.length);
    expect(inflated?.constructor).toBe(Uint8Array);
    expect(inflated).toEqual(bytes);
  });

  test("takes a bomb for what it claims to be: never more memory than that", async () => {
    const bomb = deflateRawSync(new Uint8Array(256 << 20), { level: 9 });
    expect(bomb.length).toBeLessThan(300_000);
    const before = getHeapStatistics().external_memory;
    let most = 0;
    const watching = setInterval(() => {
      most = Math.max(most, getHeapStatistics().external_memory - before);
    }, 1);
    expect(await nodeCompression.inflate(bomb, 64 * 1024)).toBeUndefined();
    most = Math.max(most, getHeapStatistics().external_memory - before);
    clearInterval(watching);
    expect(most).toBeLessThan(2 << 20);
  });
});

function repeated(): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.nat(255), fc.integer({ min: 1, max: 2000 }))
    .map(([byte, length]) => new Uint8Array(length).fill(byte));
}
