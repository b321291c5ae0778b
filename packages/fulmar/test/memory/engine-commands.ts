import fc from "fast-check";
import { PIN_OWNERS, type PinOwner } from "../../src/memory/engine.js";
import { encodedKeys } from "../keys/arbitrary.js";
import { ascii, bytesOf } from "./fixtures.js";

/** Keys that are hard to keep apart: empty, every single byte, prefixes of each other, long and nearly equal. */
export const KEYS: readonly Uint8Array[] = [
  bytesOf(),
  bytesOf(0),
  bytesOf(0, 0),
  bytesOf(255),
  bytesOf(255, 255),
  bytesOf(254, 255),
  ...["a", "aa", "aaa", "aaaa", "aaab", "aab", "ab", "b"].map(ascii),
  ...["", "x", "y", "xx"].flatMap((end) => [300, 3072].map((length) => ascii("p".repeat(length) + end))),
  ...Array.from({ length: 254 }, (_, i) => bytesOf(i + 1)).filter(([byte]) => byte !== 0x61 && byte !== 0x62),
];

/** So many of them are hot. */
export const HOT_KEYS = 18;

/** Those keys, and the same with every second of the hot ones as stores encode theirs, of every kind. */
export const keyTables: fc.Arbitrary<readonly Uint8Array[]> = fc.oneof(
  fc.constant(KEYS),
  encodedKeys.map((encoded) =>
    KEYS.map((key, i) => (i < HOT_KEYS && i % 2 === 1 ? (encoded[i >> 1] ?? key) : key)),
  ),
);

export interface Write {
  readonly key: number;
  readonly kind: "set" | "delete" | "sweep";
  readonly origin: number;
  readonly seq: number;
  readonly size: number;
  readonly deadline: number;
}

export type Command =
  | { readonly type: "commit"; readonly gap: number; readonly writes: readonly Write[] }
  | { readonly type: "hide"; readonly gap: number }
  | { readonly type: "show" }
  | { readonly type: "settle"; readonly back: number }
  | { readonly type: "rollback"; readonly back: number }
  | { readonly type: "pin"; readonly back: number; readonly owner: PinOwner }
  | { readonly type: "release"; readonly pin: number }
  | {
      readonly type: "open";
      readonly pin: number;
      readonly reverse: boolean;
      readonly from: number;
      readonly to: number;
    }
  | { readonly type: "openOrigin"; readonly pin: number; readonly origin: number; readonly after: number }
  | { readonly type: "step"; readonly cursor: number; readonly count: number }
  | { readonly type: "vacuum"; readonly records: number }
  | { readonly type: "keepTombstones" }
  | { readonly type: "order"; readonly steps: number };

const keyIndex = fc.oneof(
  { arbitrary: fc.nat(HOT_KEYS - 1), weight: 6 },
  { arbitrary: fc.nat(KEYS.length - 1), weight: 1 },
);
const owner = fc.constantFrom(...PIN_OWNERS);
const write: fc.Arbitrary<Write> = fc.record({
  key: keyIndex,
  kind: fc.constantFrom("set", "set", "delete", "sweep"),
  origin: fc.integer({ min: 1, max: 3 }),
  seq: fc.integer({ min: 1, max: 12 }),
  size: fc.oneof(fc.nat(20), fc.constantFrom(0, 1000)),
  deadline: fc.constantFrom(0, 0, 5, 10, 10, 15),
});
const back = fc.nat(4);
const small = fc.nat(7);

/** Sequences of what a committer, its readers and its log do to an engine. */
export const commandSequences: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant("commit" as const),
        gap: fc.constantFrom(0, 0, 0, 3),
        writes: fc.array(write, { minLength: 1, maxLength: 5 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("hide" as const), gap: fc.constantFrom(0, 0, 3) }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("show" as const) }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("settle" as const), back }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("rollback" as const), back }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("pin" as const), back, owner }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("release" as const), pin: small }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("open" as const),
        pin: small,
        reverse: fc.boolean(),
        from: keyIndex,
        to: fc.oneof(keyIndex, fc.constant(-1)),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant("openOrigin" as const),
        pin: small,
        origin: fc.integer({ min: 1, max: 3 }),
        after: fc.nat(6),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant("step" as const), cursor: small, count: fc.nat(6) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("vacuum" as const),
        records: fc.constantFrom(0, 1, 2, 5, 100),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("keepTombstones" as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("order" as const), steps: fc.constantFrom(1, 1, 2, 10, 100) }),
    },
  ),
  { maxLength: 40, size: "max" },
);

function setOf(key: number): Write {
  return { key, kind: "set", origin: 1, seq: 1, size: 0, deadline: 0 };
}

/** Sequences that once showed a difference. */
export const KEPT_SEQUENCES: readonly Command[][] = [
  // The order by origin let go of what it had pinned before it was complete.
  [
    { type: "commit", gap: 0, writes: [1, 0].map(setOf) },
    { type: "settle", back: 0 },
    { type: "commit", gap: 0, writes: [2, 0].map(setOf) },
    { type: "commit", gap: 0, writes: [3, 0].map(setOf) },
    { type: "order", steps: 1 },
    { type: "settle", back: 0 },
    { type: "commit", gap: 0, writes: [4, 7, 5, 6, 8].map(setOf) },
    { type: "order", steps: 10 },
  ],
  // A tombstone above what a checkpoint kept stays for peers that came meanwhile.
  [
    { type: "commit", gap: 0, writes: [setOf(0)] },
    { type: "settle", back: 0 },
    { type: "pin", back: 0, owner: "store" },
    { type: "commit", gap: 0, writes: [{ ...setOf(0), kind: "delete" }] },
    { type: "settle", back: 0 },
    { type: "keepTombstones" },
    { type: "release", pin: 0 },
    { type: "vacuum", records: 5 },
  ],
  // One that a checkpoint sees was replaced, and is the newest again, when peers had come meanwhile.
  [
    { type: "commit", gap: 0, writes: [{ ...setOf(0), kind: "sweep" }] },
    { type: "pin", back: 0, owner: "store" },
    { type: "settle", back: 1 },
    { type: "vacuum", records: 0 },
    { type: "keepTombstones" },
    { type: "commit", gap: 0, writes: [setOf(0)] },
    { type: "rollback", back: 1 },
    { type: "commit", gap: 0, writes: [setOf(0)] },
    { type: "rollback", back: 1 },
  ],
  // One that a checkpoint holds was replaced, and is the newest again.
  [
    { type: "commit", gap: 0, writes: [{ ...setOf(0), kind: "delete" }] },
    { type: "pin", back: 0, owner: "store" },
    { type: "settle", back: 0 },
    { type: "commit", gap: 0, writes: [setOf(0)] },
    { type: "rollback", back: 1 },
  ],
  // One that hid nothing was replaced before its vacuum, which had been put off: then a reader's pin holds it.
  [
    { type: "commit", gap: 0, writes: [setOf(0), setOf(0)] },
    { type: "commit", gap: 0, writes: [setOf(0), { ...setOf(1), kind: "delete" }] },
    { type: "pin", back: 0, owner: "reader" },
    { type: "settle", back: 0 },
    { type: "commit", gap: 0, writes: [setOf(1)] },
    { type: "settle", back: 0 },
  ],
];
