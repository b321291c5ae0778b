import fc from "fast-check";
import { expect, test } from "vitest";
import { Boundaries } from "../../../src/store/watch/boundaries.js";

function stringsIn({ count, bytes, offsets }: ReturnType<Boundaries["take"]>): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => bytes.slice(offsets[i], offsets[i + 1]));
}

test("byte strings come back as they were, in order, empty ones and long ones too", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 40 }), (strings) => {
      const boundaries = new Boundaries();
      for (const one of strings) boundaries.push(one);
      expect(stringsIn(boundaries.take())).toEqual(strings);
    }),
    { numRuns: 300 },
  );
});

test("what was collected takes no more room than its bytes and its offsets", () => {
  const boundaries = new Boundaries();
  expect(boundaries.take()).toEqual({ count: 0, bytes: new Uint8Array(0), offsets: Uint32Array.of(0) });
  for (let i = 0; i < 100; i++) boundaries.push(new Uint8Array(i).fill(i));
  const { count, bytes, offsets } = boundaries.take();
  expect([count, bytes.length, offsets.length]).toEqual([100, 4950, 101]);
  expect([bytes.buffer.byteLength, offsets.buffer.byteLength]).toEqual([4950, 404]);
});

test("what was taken stays as it is when more is collected", () => {
  const boundaries = new Boundaries();
  boundaries.push(Uint8Array.of(1, 2));
  const taken = boundaries.take();
  boundaries.push(Uint8Array.of(3));
  expect(stringsIn(taken)).toEqual([Uint8Array.of(1, 2)]);
  expect(stringsIn(boundaries.take())).toEqual([Uint8Array.of(1, 2), Uint8Array.of(3)]);
});

test("many thousand are not copied again for each one more", () => {
  const boundaries = new Boundaries();
  const one = new Uint8Array(16);
  const created = { bytes: 0 };
  const plain = globalThis.Uint8Array;
  const counting = new Proxy(plain, {
    construct: (target, [length]: [number]) => {
      created.bytes += length;
      return new target(length);
    },
  });
  globalThis.Uint8Array = counting;
  try {
    for (let i = 0; i < 20_000; i++) boundaries.push(one);
  } finally {
    globalThis.Uint8Array = plain;
  }
  // Doubling makes all rooms together at most four times as large as what is in the last.
  expect(created.bytes).toBeGreaterThanOrEqual(16 * 20_000);
  expect(created.bytes).toBeLessThanOrEqual(4 * 16 * 20_000);
});
