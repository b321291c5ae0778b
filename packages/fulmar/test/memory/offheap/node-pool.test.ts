import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Node, NodePool } from "../../../src/memory/offheap/node-pool.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";

const SHAPE = { ...DEFAULT_SHAPE, nodeWords: 4, chunkNodes: 4 };
const CHUNK_BYTES = 4 * 4 * 4;

describe("node pool", () => {
  it("hands each node out once, and keeps what is written into it", () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 400, size: "max" });
    fc.assert(
      fc.property(steps, fc.integer({ min: 5, max: 80 }), (sequence, burst) => {
        const pool = new NodePool(SHAPE);
        const taken = new Map<Node, number>();
        for (const [i, [isTake, choice]] of sequence.entries()) {
          const isGrowing = Math.floor(i / burst) % 2 === 0;
          if (isTake === isGrowing || taken.size === 0) {
            const node = pool.take();
            expect(node).not.toBe(0);
            expect(taken.has(node)).toBe(false);
            taken.set(node, i);
            pool.words(node).fill(i, pool.base(node), pool.base(node) + 4);
          } else {
            const node = [...taken.keys()][choice % taken.size];
            const words = pool.words(node).subarray(pool.base(node), pool.base(node) + 4);
            expect([...words]).toEqual(new Array(4).fill(taken.get(node)));
            taken.delete(node);
            pool.give(node);
          }
          expect(pool.used).toBe(taken.size);
          pool.verify();
        }
      }),
      { numRuns: 60 },
    );
  });

  it("gives chunks back in which nothing is left, all but one", () => {
    const pool = new NodePool(SHAPE);
    const nodes = Array.from({ length: 400 }, () => pool.take());
    expect(pool.allocatedBytes).toBe(100 * CHUNK_BYTES);
    for (const node of nodes.slice(1)) pool.give(node);
    expect(pool.allocatedBytes).toBe(2 * CHUNK_BYTES);
    pool.give(nodes[0]);
    expect(pool.allocatedBytes).toBe(CHUNK_BYTES);
    pool.verify();
    for (let i = 0; i < 400; i++) pool.take();
    expect(pool.allocatedBytes).toBe(100 * CHUNK_BYTES);
    pool.verify();
  });

  it("allocates as many nodes as there are, and gives them back from the last on", () => {
    const pool = new NodePool(DEFAULT_SHAPE);
    const chunks: number[] = [];
    const nodes: Node[] = [];
    for (let i = 0; i < 20_000; i++) {
      const before = pool.allocatedBytes;
      nodes.push(pool.take());
      if (pool.allocatedBytes > before) chunks.push((pool.allocatedBytes - before) / (4 * pool.nodeWords));
    }
    expect(chunks.slice(0, 7)).toEqual([64, 64, 128, 256, 512, 1024, 2048]);
    expect(new Set(chunks.slice(7))).toEqual(new Set([2048]));
    pool.verify();
    expect(new Set(nodes).size).toBe(20_000);
    for (const node of nodes.toReversed()) pool.give(node);
    pool.verify();
    expect(pool.allocatedBytes).toBeLessThanOrEqual(DEFAULT_SHAPE.chunkNodes * DEFAULT_SHAPE.nodeWords * 4);
    pool.makeRoom();
    const room = pool.allocatedBytes;
    for (let i = 0; i < 32; i++) pool.take();
    expect(pool.allocatedBytes).toBe(room);
  });

  it("refuses a node that is given back twice", () => {
    const pool = new NodePool(SHAPE);
    const node = pool.take();
    pool.give(node);
    expect(() => pool.give(node)).toThrow(expect.objectContaining({ code: "INVARIANT" }));
  });
});
