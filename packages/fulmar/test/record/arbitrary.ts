import fc from "fast-check";
import {
  type EntryFields,
  EVICTED,
  EXPIRED,
  HAS_DEADLINE,
  ORIGIN_NUMBER_MAX,
  TOMBSTONE,
} from "../../src/record/entry.js";

const u53 = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER));

/** Entries of every shape that can be written. */
export const anyEntry: fc.Arbitrary<EntryFields> = fc
  .record({
    key: fc.uint8Array({ maxLength: 20 }),
    value: fc.uint8Array({ maxLength: 20 }),
    flags: fc.constantFrom(
      0,
      HAS_DEADLINE,
      TOMBSTONE,
      TOMBSTONE | EXPIRED,
      TOMBSTONE | EXPIRED | HAS_DEADLINE,
      TOMBSTONE | EVICTED,
    ),
    origin: fc.nat(ORIGIN_NUMBER_MAX),
    hlc: u53,
    seq: u53,
    deadline: u53,
    valueChecksum: fc.nat(0xffffffff),
  })
  .map((fields) => ((fields.flags & TOMBSTONE) === 0 ? fields : { ...fields, value: new Uint8Array() }));

/** Random bytes, and well-formed ones with a few bytes changed and an end cut off. */
export function mutatedBytes(wellFormed: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(0, 1, 127, 128, 255), fc.nat(255)));
  const mutated = fc
    .tuple(wellFormed, fc.array(change, { maxLength: 4 }), fc.oneof(fc.constant(0), fc.nat(50)))
    .map(([bytes, changes, cut]) => {
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes.subarray(0, Math.max(0, bytes.length - cut));
    });
  return fc.oneof(mutated, fc.uint8Array({ maxLength: 120 }));
}

/** The same bytes, but an error for whoever reads at or beyond `end`. */
export function fenced(bytes: Uint8Array, end: number): Uint8Array {
  return new Proxy(bytes, {
    get(target, name) {
      if (typeof name === "string" && /^\d+$/.test(name) && Number(name) >= end) {
        throw new Error(`read at ${name}, beyond the end at ${end}`);
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
