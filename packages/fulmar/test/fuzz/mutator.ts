import { writeU32, writeU64 } from "../../src/base/bytes.js";
import type { Prng } from "../../src/testing/index.js";

/** Numbers at which readers of lengths and counts go wrong. */
const EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 127, 128, 255, 256, 4095, 4096, 65_535, 65_536];
const WIDE_EDGES = [0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
const VERY_WIDE_EDGES = [2 ** 32, 2 ** 48, 2 ** 52, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER];

type Change = (bytes: Uint8Array, prng: Prng, corpus: readonly Uint8Array[]) => Uint8Array;

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A piece of `bytes`, short ones more often. */
function piece(bytes: Uint8Array, prng: Prng): [from: number, to: number] {
  const from = prng.below(bytes.length + 1);
  const longest = Math.min(bytes.length - from, prng.pick([1, 4, 8, 16, 64, 512, 4096]));
  return [from, from + (longest === 0 ? 0 : 1 + prng.below(longest))];
}

const CHANGES: readonly Change[] = [
  (bytes, prng) => {
    if (bytes.length > 0) bytes[prng.below(bytes.length)] ^= 1 << prng.below(8);
    return bytes;
  },
  (bytes, prng) => {
    if (bytes.length > 0)
      bytes[prng.below(bytes.length)] = prng.chance(0.7)
        ? prng.below(256)
        : prng.pick([0, 1, 0x7f, 0x80, 0xff]);
    return bytes;
  },
  (bytes, prng) => {
    const at = prng.below(Math.max(1, bytes.length - 3));
    if (bytes.length >= 4)
      writeU32(bytes, at, prng.pick([...EDGES, ...WIDE_EDGES, bytes.length, bytes.length - at]));
    return bytes;
  },
  (bytes, prng) => {
    const at = prng.below(Math.max(1, bytes.length - 7));
    const values = [...EDGES, ...WIDE_EDGES, ...VERY_WIDE_EDGES, bytes.length];
    if (bytes.length >= 8) writeU64(bytes, at, prng.pick(values));
    return bytes;
  },
  (bytes, prng) => {
    const [from, to] = piece(bytes, prng);
    return joined(bytes.subarray(0, from), bytes.subarray(to));
  },
  (bytes, prng) => {
    const [from, to] = piece(bytes, prng);
    return joined(bytes.subarray(0, to), bytes.subarray(from));
  },
  (bytes, prng) => {
    const [from, to] = piece(bytes, prng);
    prng.fill(bytes.subarray(from, to));
    return bytes;
  },
  (bytes, prng) => {
    const [from, to] = piece(bytes, prng);
    return bytes.fill(0, from, to);
  },
  (bytes, prng, corpus) => {
    const other = prng.pick(corpus);
    const [from, to] = piece(other, prng);
    const at = prng.below(bytes.length + 1);
    const rest = prng.chance(0.5) ? at : Math.min(bytes.length, at + to - from);
    return joined(bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(rest));
  },
  (bytes, prng) => bytes.slice(0, prng.below(bytes.length + 1)),
];

/** An independent copy of `input` with one to four changes, at most `bytesMax` long. */
export function mutated(
  input: Uint8Array,
  prng: Prng,
  corpus: readonly Uint8Array[],
  bytesMax: number,
): Uint8Array {
  let bytes: Uint8Array = input.slice();
  for (let count = prng.pick([1, 1, 2, 4]); count > 0; count--) {
    bytes = prng.pick(CHANGES)(bytes, prng, corpus).slice(0, bytesMax);
  }
  return bytes;
}
