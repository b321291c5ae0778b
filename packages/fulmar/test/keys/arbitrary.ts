import fc from "fast-check";
import { toHex } from "../../src/base/bytes.js";
import { encodeKey, type KeyPart } from "../../src/keys/key.js";

const trickyNumber = fc.constantFrom(
  0,
  -0,
  1,
  -1,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  Number.MAX_VALUE,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -0.1,
  2 ** 53,
  255,
  256,
);
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.string({
    unit: fc.constantFrom("\0", "\u0001", "a", "\u00ff", "\uffff", "\u{10000}", "\u{10ffff}"),
    maxLength: 4,
  }),
);
const byteArray = fc.oneof(
  fc.uint8Array({ maxLength: 6 }),
  fc.array(fc.constantFrom(0, 1, 2, 254, 255), { maxLength: 4 }).map((items) => Uint8Array.from(items)),
);
const scalar: fc.Arbitrary<KeyPart> = fc.oneof(
  text,
  byteArray,
  fc.double({ noNaN: true }),
  trickyNumber,
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.boolean(),
);

/** Keys of every kind, with many near misses of each other. */
export const anyKey: fc.Arbitrary<KeyPart> = fc.letrec<{ key: KeyPart; tuple: KeyPart[] }>((tie) => ({
  key: fc.oneof(
    { depthSize: "small" },
    { arbitrary: scalar, weight: 3 },
    { arbitrary: tie("tuple"), weight: 2 },
  ),
  tuple: fc.array(tie("key"), { maxLength: 4 }),
})).key;

export const anyTuple: fc.Arbitrary<KeyPart[]> = fc.array(anyKey, { maxLength: 4 });
export { byteArray, text };

/** A key, those that are tuples around it or its beginnings, and some that only go on. */
function withRelatives(key: KeyPart): KeyPart[] {
  if (!Array.isArray(key)) return [key, [key], [key, key]];
  return [key, ...key.map((_, length) => key.slice(0, length)), [...key, 0], [...key, ""], [key]];
}

/** A key of any kind as it is stored. */
export const encodedKey: fc.Arbitrary<Uint8Array> = anyKey.map((key) => encodeKey(key, 4096));

/** Distinct keys of every kind as they are stored, many of them the beginnings of others. */
export const encodedKeys: fc.Arbitrary<Uint8Array[]> = fc
  .array(anyKey, { minLength: 4, maxLength: 8, size: "max" })
  .map((keys) => {
    const encoded = keys.flatMap(withRelatives).map((key) => encodeKey(key, 4096));
    return [...new Map(encoded.map((bytes) => [toHex(bytes), bytes])).values()];
  });

const KINDS = ["string", "bytes", "number", "bigint", "boolean", "tuple"];

function kindOf(key: KeyPart): number {
  if (key instanceof Uint8Array) return 1;
  if (Array.isArray(key)) return 5;
  return KINDS.indexOf(typeof key);
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compare(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

const plain = <T extends number | bigint | boolean>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

/** The order that the documentation promises, told from the values alone. */
export function compareKeys(a: KeyPart, b: KeyPart): number {
  const kind = kindOf(a);
  if (kind !== kindOf(b)) return kind - kindOf(b);
  if (typeof a === "string") {
    const points = (key: KeyPart): number[] =>
      Array.from(key as string, (character) => character.codePointAt(0) as number);
    return compareLists(points(a), points(b), plain);
  }
  if (a instanceof Uint8Array) return compareLists([...a], [...(b as Uint8Array)], plain);
  if (Array.isArray(a)) return compareLists<KeyPart>(a, b as KeyPart[], compareKeys);
  return plain(a as number, b as number);
}
