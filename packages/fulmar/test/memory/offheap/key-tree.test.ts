import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, toHex } from "../../../src/base/bytes.js";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { COUNT, PREVIOUS, STALE, STATE } from "../../../src/memory/offheap/key-node-layout.js";
import { KeyTree } from "../../../src/memory/offheap/key-tree.js";
import { TreeDigests } from "../../../src/memory/offheap/key-tree-digest.js";
import { verifyKeyTree } from "../../../src/memory/offheap/key-tree-verify.js";
import { NO_NODE } from "../../../src/memory/offheap/node-pool.js";
import { Records } from "../../../src/memory/offheap/records.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";
import { encodedKey } from "../../keys/arbitrary.js";
import { ascii, bytesOf, entry, quickHash } from "../fixtures.js";
import { SMALL, SMALLEST } from "./shapes.js";

const byte = fc.constantFrom(0, 1, 2, 0x61, 0x62, 0xfe, 0xff);
const raw = fc
  .tuple(fc.constantFrom(0, 0, 1, 4, 30, 3072), byte, fc.array(byte, { maxLength: 4, minLength: 2 }))
  .map(([length, fill, tail]) => bytesOf(...new Array<number>(length).fill(fill), ...tail));
/** Half of the keys are of every kind, as stores encode them. */
const key = fc.oneof(raw, encodedKey);

/** A key and some that differ from it in one byte, or end within it; what follows each is not part of it. */
function nearby(key: Uint8Array): Uint8Array[] {
  const cut = [1, 2, 3].map((less) => key.subarray(0, Math.max(0, key.length - less)));
  const places = [0, key.length >> 1, key.length - 3, key.length - 2].filter((at) => at >= 0);
  const changed = places.flatMap((at) =>
    [1, 255].map((by) => key.map((value, i) => (i === at ? value + by : value))),
  );
  return [key, ...cut, ...changed];
}

/** More additions than removals, or fewer, for a while each: the tree grows high and shrinks again. */
const steps = fc.array(fc.tuple(fc.nat(9), key, fc.nat(1000)), {
  minLength: 200,
  maxLength: 500,
  size: "max",
});

describe.each([
  ["small", SMALL],
  ["smallest", SMALLEST],
])("key tree, %s nodes", (_, sizes) => {
  it("keeps keys in order, and its digests right, through additions and removals", () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const shape = { ...DEFAULT_SHAPE, ...sizes };
        const records = new Records(shape);
        const tree = new KeyTree(records, shape);
        const digests = new TreeDigests(tree, records, quickHash);
        const model = new Map<string, { key: Uint8Array; ref: number }>();
        for (const [i, [dice, key, index]] of sequence.entries()) {
          const name = toHex(key);
          const isGrowing = dice < (Math.floor(i / 120) % 2 === 0 ? 9 : 2);
          if (isGrowing && !model.has(name)) {
            const bytes = entry(key, { seq: i });
            const ref = records.add(1, 0, bytes, 0, bytes.length);
            tree.insert(key, 0, key.length, ref);
            model.set(name, { key, ref });
          } else if (!isGrowing && model.size > 0) {
            const removed = [...model.values()][index % model.size];
            tree.remove(removed.key, 0, removed.key.length, removed.ref);
            records.free(removed.ref);
            model.delete(toHex(removed.key));
          }
          const { refs, separators } = verifyKeyTree(tree, records, digests);
          const sorted = [...model.values()].sort((a, b) => compareBytes(a.key, b.key));
          expect(refs).toEqual(sorted.map(({ ref }) => ref));
          expect(records.arena.verify()).toBe(refs.length + separators.length);
          // All digests are known now, so that the next change has to declare each that it touches stale.
          let from: Uint8Array | undefined = key.length < 1000 ? key : bytesOf();
          while (from !== undefined) from = digests.prepare(from, undefined, 1);
          digests.prepare(bytesOf(), undefined, model.size);
          expect(tree.nodes.get(tree.root, STATE) & STALE).toBe(0);
          expect(digests.digest(ALL_KEYS).count).toBe(model.size);
        }
      }),
      { numRuns: 15 },
    );
  });

  it("leads any key to its place, whatever it has in common with those that are there", () => {
    fc.assert(
      fc.property(fc.array(key, { minLength: 100, maxLength: 300, size: "max" }), (keys) => {
        const shape = { ...DEFAULT_SHAPE, ...sizes };
        const records = new Records(shape);
        const tree = new KeyTree(records, shape);
        const sorted: Uint8Array[] = [];
        for (const [i, key] of keys.entries()) {
          const at = sorted.findIndex((other) => compareBytes(other, key) >= 0);
          if (at >= 0 && compareBytes(sorted[at], key) === 0) continue;
          const bytes = entry(key, { seq: i });
          tree.insert(key, 0, key.length, records.add(1, 0, bytes, 0, bytes.length));
          sorted.splice(at < 0 ? sorted.length : at, 0, key);
        }
        for (const probe of keys.flatMap(nearby)) {
          const leaf = tree.leafOf(probe, 0, probe.length);
          let before = tree.indexIn(leaf, probe, 0, probe.length);
          for (let node = tree.nodes.get(leaf, PREVIOUS); node !== NO_NODE; ) {
            before += tree.nodes.get(node, COUNT);
            node = tree.nodes.get(node, PREVIOUS);
          }
          const below = sorted.filter((other) => compareBytes(other, probe) < 0);
          expect(before).toBe(below.length);
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe("key tree", () => {
  /** Bytes of nodes for each key after these were added in an order. */
  function bytesPerKey(order: readonly number[]): number {
    const records = new Records(DEFAULT_SHAPE);
    const tree = new KeyTree(records, DEFAULT_SHAPE);
    for (const i of order) {
      const key = ascii(`user:${i.toString().padStart(11, "0")}`);
      const bytes = entry(key, { seq: i });
      tree.insert(key, 0, key.length, records.add(1, 0, bytes, 0, bytes.length));
    }
    verifyKeyTree(tree, records, new TreeDigests(tree, records, quickHash));
    return tree.nodes.pool.usedBytes / order.length;
  }
  const count = 20_000;
  const ascending = Array.from({ length: count }, (_, i) => i);

  it("fills three quarters of its leaves on average when keys come in random order", () => {
    const order = [...ascending];
    let state = 12345;
    for (let i = count - 1; i > 0; i--) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const j = Math.floor((state / 4294967296) * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    expect(bytesPerKey(order)).toBeLessThan(12);
  });

  it("fills its leaves when keys ascend", () => {
    expect(bytesPerKey(ascending)).toBeLessThan(9);
  });
});
