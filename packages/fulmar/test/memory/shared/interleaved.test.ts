import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex } from "../../../src/base/bytes.js";
import { inRange } from "../../../src/keys/range.js";
import { KeyNodes } from "../../../src/memory/offheap/key-nodes.js";
import { TreeCopies } from "../../../src/memory/offheap/key-tree-copies.js";
import { Records } from "../../../src/memory/offheap/records.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { keyOf } from "../../../src/record/entry.js";
import { SMALL, SMALLEST } from "../offheap/shapes.js";
import { Owner, SteppedReader } from "./fixture.js";

const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const runs = { numRuns: Number(process.env.FULMAR_READERS ?? 4) };

/** What a reader must see as long as it stays where it is. */
class Expectation {
  readonly #owner: Owner;
  readonly #reader: SteppedReader;
  #up: string[] = [];
  checks = 0;

  constructor(owner: Owner, reader: SteppedReader) {
    this.#owner = owner;
    this.#reader = reader;
    this.refresh();
  }

  refresh(): void {
    this.#reader.refresh();
    expect(this.#reader.version).toBe(this.#owner.plain.settled);
    this.#up = this.#owner.state();
  }

  checkScan(reverse: boolean, limit?: number): void {
    const range = this.#owner.anyRange();
    const inside = this.#up.filter((shown) => inRange(keyIn(shown), range));
    const expected = reverse ? inside.reverse() : inside;
    expect(this.#reader.scan(range, reverse, limit)).toEqual(expected.slice(0, limit));
    this.checks++;
  }

  checkFind(): void {
    const key = this.#owner.anyKey();
    const expected = this.#up.find((shown) => Buffer.compare(keyIn(shown), key) === 0) ?? "none";
    expect(this.#reader.find(key)).toBe(expected);
    this.checks++;
  }
}

function keyIn(shown: string): Uint8Array {
  return keyOf(fromHex(shown.split(" ")[1]) ?? new Uint8Array(), 0);
}

describe.each([
  ["small", SMALL],
  ["smallest", SMALLEST],
])("a reader of shared memory, %s sizes", (_, shape) => {
  it("sees the state it stays at, whatever the owner does between any two of its steps", () => {
    let checks = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const owner = new Owner({ seed, shape });
        for (let i = 0; i < 60; i++) owner.change();
        const reader = new SteppedReader(owner.sharing);
        const expectation = new Expectation(owner, reader);
        let changes = 0;
        reader.view.stepper = {
          step: () => {
            if (changes > 0 && owner.random(3) === 0) {
              changes--;
              owner.change();
            }
          },
        };
        for (let i = 0; i < 120; i++) {
          if (i % 3 === 0) expectation.refresh();
          changes = owner.random(60);
          if (owner.random(2) === 0) expectation.checkScan(owner.random(2) === 0);
          else expectation.checkFind();
          changes = 0;
          if (i % 20 === 0) owner.engine.verify();
        }
        checks += expectation.checks;
        owner.sharing.detach(reader.attached);
        expect(owner.sharing.waiting).toEqual({ bytes: 0, cells: 0, nodes: 0 });
        owner.engine.verify();
      }),
      runs,
    );
    expect(checks).toBeGreaterThan(0);
  });

  it("sees the state it stays at between any two steps of the owner", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const owner = new Owner({ seed, shape, keys: 40 });
        for (let i = 0; i < 40; i++) owner.change();
        const reader = new SteppedReader(owner.sharing);
        const expectation = new Expectation(owner, reader);
        const restore = interrupt(() => {
          if (owner.random(4) === 0) expectation.checkScan(owner.random(2) === 0, 1 + owner.random(30));
          else expectation.checkFind();
        });
        try {
          for (let i = 0; i < 60; i++) {
            owner.change();
            if (i % 5 === 0) expectation.refresh();
          }
        } finally {
          restore();
        }
        owner.engine.verify();
        expect(expectation.checks).toBeGreaterThan(100);
      }),
      runs,
    );
  });
});

/** Has `probe` run before and after each step with which the owner changes what readers can reach. */
function interrupt(probe: () => void): () => void {
  const undo: (() => void)[] = [];
  let isProbing = false;
  const wrap = (prototype: object, names: readonly string[]): void => {
    for (const name of names) {
      const original = Reflect.get(prototype, name) as (...values: unknown[]) => unknown;
      const run = (): void => {
        if (isProbing) return;
        isProbing = true;
        probe();
        isProbing = false;
      };
      Reflect.set(prototype, name, function (this: unknown, ...values: unknown[]) {
        run();
        const result = original.apply(this, values);
        run();
        return result;
      });
      undo.push(() => Reflect.set(prototype, name, original));
    }
  };
  wrap(KeyNodes.prototype, [
    "publishChild",
    "publishRef",
    "insertSought",
    "insert",
    "erase",
    "move",
    "copy",
    "refresh",
    "setChild",
    "moveSeparator",
    "freeSeparator",
  ]);
  wrap(TreeCopies.prototype, ["replace", "discard", "publishRoot"]);
  wrap(Records.prototype, ["setOlder", "add", "free", "discard", "copy", "vacate"]);
  wrap(Sharing.prototype, ["publish", "reclaim", "reclaimThrough", "retire"]);
  return () => {
    for (const step of undo) step();
  };
}
