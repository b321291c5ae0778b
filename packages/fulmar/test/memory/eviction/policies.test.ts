import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createPolicy, POLICY_NAMES, type PolicyName } from "../../../src/memory/eviction/create.js";
import { Ghosts } from "../../../src/memory/eviction/ghosts.js";
import { NO_SLOT, type Policy } from "../../../src/memory/eviction/policy.js";
import { SievePolicy } from "../../../src/memory/eviction/sieve.js";
import { createModel, type Model } from "./models.js";

type Step =
  | { readonly kind: "insert"; readonly bytes: number; readonly fingerprint: number }
  | { readonly kind: "touch" | "remove"; readonly pick: number }
  | { readonly kind: "resize"; readonly pick: number; readonly bytes: number }
  | { readonly kind: "evict" | "restore" };

const bytes = fc.integer({ min: 16, max: 400 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("insert"), bytes, fingerprint: fc.nat(30) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("touch"), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove"), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("resize"), pick: fc.nat(), bytes }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("evict") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restore") }) },
) as fc.Arbitrary<Step>;

interface Key {
  readonly slot: number;
  bytes: number;
  readonly fingerprint: number;
}

/** A policy and its model, driven together. Slots are given again as soon as they are free. */
class Pair {
  readonly #policy: Policy;
  readonly #model: Model;
  #keys: Key[] = [];
  readonly #free: number[] = [];
  #evicted: Key | undefined;
  #slots = 0;
  #steps = 0;

  constructor(policy: Policy, model: Model) {
    this.#policy = policy;
    this.#model = model;
  }

  step(step: Step): void {
    const key = "pick" in step ? this.#keys[step.pick % this.#keys.length] : undefined;
    if (step.kind === "insert") this.#insert("insert", step.bytes, step.fingerprint);
    else if (step.kind === "restore" && this.#evicted !== undefined) {
      this.#insert("restore", this.#evicted.bytes, this.#evicted.fingerprint);
      this.#evicted = undefined;
    } else if (step.kind === "evict") this.#evict();
    else if (key !== undefined && step.kind === "resize") {
      key.bytes = step.bytes;
      for (const side of [this.#policy, this.#model]) side.resize(key.slot, step.bytes);
    } else if (key !== undefined && step.kind === "touch") {
      for (const side of [this.#policy, this.#model]) side.touch(key.slot);
    } else if (key !== undefined) {
      for (const side of [this.#policy, this.#model]) side.remove(key.slot);
      this.#drop(key);
    }
    expect(this.#policy.size).toBe(this.#keys.length);
    if (++this.#steps % 10 === 0) this.#policy.verify();
  }

  /** Takes out everything that is left, in order. */
  empty(): void {
    while (this.#keys.length > 0) this.#evict();
    expect(this.#policy.victim()).toBe(NO_SLOT);
    this.#policy.verify();
  }

  #insert(how: "insert" | "restore", size: number, fingerprint: number): void {
    // No two keys that are there have one fingerprint, or the one that goes later hides the other.
    if (this.#keys.some((key) => key.fingerprint === fingerprint)) return;
    const slot = this.#free.pop() ?? ++this.#slots;
    this.#keys.push({ slot, bytes: size, fingerprint });
    this.#policy.reserve(slot);
    for (const side of [this.#policy, this.#model]) side[how](slot, size, fingerprint);
  }

  #evict(): void {
    const slot = this.#policy.victim();
    expect(slot === NO_SLOT ? undefined : slot).toBe(this.#model.victim());
    if (slot === NO_SLOT) return;
    for (const side of [this.#policy, this.#model]) side.evict(slot);
    const key = this.#keys.find((candidate) => candidate.slot === slot) as Key;
    this.#evicted = key;
    this.#drop(key);
  }

  #drop(key: Key): void {
    this.#keys = this.#keys.filter((other) => other !== key);
    this.#free.push(key.slot);
  }
}

const STEPS_MAX = 3;
const create = (name: PolicyName): Policy =>
  name === "sieve" ? new SievePolicy(STEPS_MAX) : createPolicy(name, () => 0);

describe.each(POLICY_NAMES)("%s", (name) => {
  it("evicts what its model does, whatever happens in between", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 100, maxLength: 250 }), (steps) => {
        const pair = new Pair(create(name), createModel(name, STEPS_MAX));
        for (const one of steps) pair.step(one);
        pair.empty();
      }),
      { numRuns: 100 },
    );
  }, 600_000);

  it("holds many keys, and its tables grow with them only", () => {
    const policy = createPolicy(name, (bound) => bound - 1);
    policy.reserve(20_000);
    for (let slot = 1; slot <= 20_000; slot++) policy.insert(slot, 100, slot * 2654435761);
    const full = policy.allocatedBytes;
    for (let round = 0; round < 40_000; round++) {
      const slot = policy.victim();
      policy.evict(slot);
      policy.insert(slot, 100, (round + 30_000) * 2654435761);
      // What is used again leaves ARC room to remember what was used once.
      if (round % 2 === 0) policy.touch(slot);
    }
    policy.verify();
    expect(policy.size).toBe(20_000);
    // Whole chunks of 4096 slots, and the ends of the lists.
    expect(full).toBeLessThan(20_480 * 4 * policy.wordsPerSlot + 10_000);
    expect(policy.allocatedBytes).toBe(full);
  });
});

describe("least frequently used", () => {
  it("overtakes what was popular long ago", () => {
    const policy = createPolicy("lfu", () => 0);
    policy.reserve(3);
    policy.insert(1, 16, 0);
    for (let i = 0; i < 500; i++) policy.touch(1);
    for (let round = 0; round < 1000; round++) {
      policy.insert(2, 16, 0);
      policy.insert(3, 16, 0);
      const slot = policy.victim();
      policy.evict(slot);
      if (slot === 1) return;
      policy.remove(slot === 2 ? 3 : 2);
    }
    expect.fail("the key that nobody uses any more is still there");
  });
});

describe("arc", () => {
  it("takes no key for used again that was passed over", () => {
    const policy = createPolicy("arc", () => 0);
    policy.reserve(3);
    for (let slot = 1; slot <= 3; slot++) policy.insert(slot, 100, slot);
    policy.touch(3);
    const offered = [1, 2, 3].map(() => {
      const slot = policy.victim();
      policy.evict(slot);
      policy.restore(slot, 100, slot);
      policy.pass(slot);
      return slot;
    });
    expect(offered).toEqual([1, 2, 1]);
    policy.verify();
  });
});

describe("sieve", () => {
  it("passes a bounded number of keys", () => {
    const policy = new SievePolicy(4);
    policy.reserve(10);
    for (let slot = 1; slot <= 10; slot++) policy.insert(slot);
    for (let slot = 1; slot <= 10; slot++) policy.touch(slot);
    expect(policy.victim()).toBe(5);
  });
});

describe("ghosts", () => {
  it("have room for as many as were asked for, where the list that stands for more loses its oldest", () => {
    const ghosts = new Ghosts(2);
    ghosts.reserve(5000);
    const allocated = ghosts.allocatedBytes;
    for (let i = 0; i < 10_000; i++) ghosts.add(0, i, 100);
    expect(ghosts.size).toBeGreaterThanOrEqual(5000);
    const { size } = ghosts;
    for (let i = 10_000; i < 10_100; i++) ghosts.add(1, i, 100);
    expect([ghosts.size, ghosts.bytesOf(0), ghosts.bytesOf(1)]).toEqual([size, (size - 100) * 100, 10_000]);
    expect(ghosts.allocatedBytes).toBe(allocated);
    expect([ghosts.take(10_099 - size), ghosts.take(10_100 - size)]).toEqual([
      undefined,
      { list: 0, bytes: 100 },
    ]);
    ghosts.verify();
  });

  it("are found while they are remembered, in tables that grow and shrink", () => {
    const action = fc.record({
      kind: fc.constantFrom("add", "add", "take", "drop"),
      list: fc.nat(1),
      fingerprint: fc.oneof(fc.nat(500), fc.nat(0xffffffff)),
    });
    fc.assert(
      fc.property(fc.array(action, { minLength: 200, maxLength: 600 }), (actions) => {
        const ghosts = new Ghosts(2);
        ghosts.reserve(actions.length);
        const model: { list: number; fingerprint: number; bytes: number }[] = [];
        const forget = (index: number) => (index < 0 ? undefined : model.splice(index, 1)[0]);
        const find = (fingerprint: number) => model.findIndex((ghost) => ghost.fingerprint === fingerprint);
        for (const [bytes, { kind, list, fingerprint }] of actions.entries()) {
          if (kind === "add") {
            forget(find(fingerprint));
            model.push({ list, fingerprint, bytes });
            ghosts.add(list, fingerprint, bytes);
          } else {
            const isTake = kind === "take";
            const found = forget(
              isTake ? find(fingerprint) : model.findIndex((ghost) => ghost.list === list),
            );
            const known = isTake ? ghosts.take(fingerprint) : ghosts.dropOldest(list);
            expect(known).toEqual(found && { list: found.list, bytes: found.bytes });
          }
          expect(ghosts.size).toBe(model.length);
        }
        ghosts.verify();
        for (const { fingerprint } of [...model]) expect(ghosts.take(fingerprint)).toBeDefined();
        expect([ghosts.size, ghosts.bytesOf(0), ghosts.bytesOf(1)]).toEqual([0, 0, 0]);
        ghosts.verify();
      }),
      { numRuns: 100 },
    );
  }, 600_000);
});
