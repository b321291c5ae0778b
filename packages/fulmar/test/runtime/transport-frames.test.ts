import fc from "fast-check";
import { expect, test } from "vitest";
import { concatBytes, equalBytes } from "../../src/base/bytes.js";
import { encodeFrames, FrameDecoder } from "../../src/base/runtime/node/frames.js";

const PATTERN = new Uint8Array(21_000).map((_, i) => i * 31 + (i >>> 8));
const violation = expect.objectContaining({ code: "PROTOCOL_VIOLATION" }) as Error;

function decodeAll(decoder: FrameDecoder, pieces: readonly Uint8Array[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const piece of pieces) {
    decoder.push(piece);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame);
  }
  return frames;
}

function cut(stream: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, i = 0; at < stream.length; i++) {
    const length = Math.max(1, lengths.length === 0 ? stream.length : lengths[i % lengths.length]);
    pieces.push(stream.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

test("what is encoded is decoded, however the stream is cut", () => {
  const sizes = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 20_000 }));
  const property = fc.property(
    fc.array(sizes, { maxLength: 30 }),
    fc.array(fc.integer({ min: 1, max: 9_000 }), { maxLength: 8 }),
    (lengths, cuts) => {
      const frames = lengths.map((length, i) => PATTERN.slice(i, i + length));
      const stream = concatBytes(...encodeFrames(frames));
      const decoder = new FrameDecoder(20_000);
      const decoded = decodeAll(decoder, cut(stream, cuts));
      expect(decoded).toHaveLength(frames.length);
      expect(decoded.findIndex((frame, i) => !equalBytes(frame, frames[i]))).toBe(-1);
      expect(decoder.partial).toBe(false);
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test("a large frame survives every size of piece, and the decoder copies its input", () => {
  const frame = new Uint8Array(3_000_001).map((_, i) => i * 31);
  const stream = concatBytes(...encodeFrames([frame, new Uint8Array([7])]));
  for (const length of [1_000, 65_536, 1_500_000, stream.length]) {
    const pieces = cut(stream, [length]).map((piece) => Buffer.from(piece));
    const decoder = new FrameDecoder(frame.length);
    const frames: Uint8Array[] = [];
    for (const piece of pieces) {
      frames.push(...decodeAll(decoder, [piece]));
      piece.fill(0);
    }
    expect(frames).toHaveLength(2);
    expect(Buffer.compare(frames[0], frame)).toBe(0);
    expect([...frames[1]]).toEqual([7]);
    expect(Object.getPrototypeOf(frames[1])).toBe(Uint8Array.prototype);
  }
});

test("short frames are joined, long ones are not copied", () => {
  const short = Array.from({ length: 1_000 }, () => new Uint8Array(16));
  expect(encodeFrames(short)).toHaveLength(1);
  const long = new Uint8Array(100_000);
  const buffers = encodeFrames([short[0], long, short[1], long]);
  expect(buffers).toHaveLength(4);
  expect(buffers[1]).toBe(long);
  expect(buffers[3]).toBe(long);
  expect(encodeFrames(Array.from({ length: 100 }, () => new Uint8Array(8_192))).length).toBeLessThan(15);
  expect(encodeFrames([])).toEqual([]);
});

test("SEC: frame length: a frame at the limit passes, a longer or empty one is refused by its header", () => {
  const at = (length: number): Uint8Array => encodeFrames([new Uint8Array(length)])[0];
  expect(decodeAll(new FrameDecoder(100), [at(100)])).toEqual([new Uint8Array(100)]);
  const decoder = new FrameDecoder(100);
  expect(() => decodeAll(decoder, [at(101).subarray(0, 4)])).toThrow(violation);
  expect(() => decodeAll(new FrameDecoder(2 ** 31), [new Uint8Array(4).fill(255)])).toThrow(violation);
  expect(() => decodeAll(new FrameDecoder(100), [new Uint8Array(4)])).toThrow(violation);
});

test("a changed limit holds for the next frame, even within one piece", () => {
  const decoder = new FrameDecoder(10);
  decoder.push(concatBytes(...encodeFrames([new Uint8Array(10), new Uint8Array(50), new Uint8Array(11)])));
  expect(decoder.next()).toHaveLength(10);
  decoder.limit(50);
  expect(decoder.next()).toHaveLength(50);
  decoder.limit(10);
  expect(() => decoder.next()).toThrow(violation);
});

test("SEC: frame length: an announced frame takes memory only in proportion to what has arrived", () => {
  const before = process.memoryUsage().arrayBuffers;
  const header = new Uint8Array([0, 0, 0, 64, 1]);
  const decoders = Array.from({ length: 8 }, () => new FrameDecoder(2 ** 31));
  for (const decoder of decoders) expect(decodeAll(decoder, [header])).toEqual([]);
  expect(decoders.every((decoder) => decoder.partial)).toBe(true);
  // Eight gigabytes are announced.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20);
});

test("garbage is either frames within the limit or refused", () => {
  const property = fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 })), (pieces) => {
    try {
      for (const frame of decodeAll(new FrameDecoder(64), pieces)) {
        expect(frame.length).toBeGreaterThan(0);
        expect(frame.length).toBeLessThanOrEqual(64);
      }
    } catch (error) {
      expect(error).toEqual(violation);
    }
  });
  fc.assert(property, { numRuns: 300 });
});
