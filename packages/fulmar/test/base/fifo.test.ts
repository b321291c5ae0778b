import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fifo } from "../../src/base/fifo.js";
import { Publication } from "../../src/transaction/publication.js";

type Step = { readonly do: "push" | "shift" | "pop" | "clear"; readonly times: number };

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom("push", "push", "shift", "shift", "pop", "clear"),
  times: fc.nat(90),
});

const MOVING = ["shift", "splice", "slice", "unshift"] as const;

/** How many elements the methods of arrays that move others came by. */
function movedBy(work: () => void): number {
  let moved = 0;
  const originals = MOVING.map((name) => [name, Array.prototype[name]] as const);
  for (const [name, original] of originals) {
    const counted = function (this: unknown[], ...args: unknown[]): unknown {
      moved += this.length;
      return Reflect.apply(original, this, args);
    };
    Object.defineProperty(Array.prototype, name, { value: counted, configurable: true, writable: true });
  }
  try {
    work();
  } finally {
    for (const [name, value] of originals) {
      Object.defineProperty(Array.prototype, name, { value, configurable: true, writable: true });
    }
  }
  return moved;
}

describe("a queue", () => {
  it("does what an array does", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const queue = new Fifo<number>();
        let model: number[] = [];
        let next = 0;
        for (const { do: what, times } of steps) {
          for (let i = 0; i < times; i++) {
            if (what === "push") model.push(next);
            if (what === "push") queue.push(next++);
            else if (what === "shift") expect(queue.shift()).toBe(model.shift());
            else if (what === "pop") expect(queue.pop()).toBe(model.pop());
            expect([queue.size, queue.first, queue.last]).toEqual([model.length, model[0], model.at(-1)]);
          }
          if (what === "clear") queue.clear();
          if (what === "clear") model = [];
        }
        expect(queue.size).toBe(model.length);
      }),
    );
  });

  it("moves each item some few times at most, however many there are", () => {
    const items = 20_000;
    const moved = movedBy(() => {
      const queue = new Fifo<number>();
      for (let i = 0; i < items; i++) queue.push(i);
      while (queue.size > 0) queue.shift();
    });
    expect(moved).toBeLessThan(4 * items);
  });
});

it("publication of commits that need one thing and another in turn moves each some few times at most", () => {
  const commits = 10_000;
  const publication = new Publication(0);
  for (let version = 1; version <= commits; version++) {
    publication.add(version, version % 2 === 0 ? 1 : 2);
    publication.notify({ version, remote: false, keys: [] });
  }
  const shown: number[] = [];
  const moved = movedBy(() => {
    for (let version = 1; version <= commits; version++) {
      for (const notice of publication.advance(version, version)) shown.push(notice.version);
    }
  });
  expect(shown).toEqual(Array.from({ length: commits }, (_, i) => i + 1));
  expect(moved).toBeLessThan(10 * commits);
});
