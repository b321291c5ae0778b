import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type ListOptions, open, type Savepoint, type Transaction } from "../../src/index.js";
import { TransactionState } from "../../src/store/transaction-state.js";
import { interleaved } from "./interleaved.js";

/**
 * Transactions that delete and list by turns, on few keys: what listings show, and what of it is a conflict when
 * somebody else changes it, as a plain model has it that remembers nothing of what it passed.
 */

const KEYS = 6;
const FRESH = Number(process.env.FULMAR_SEED ?? Date.now() % 2 ** 31);

type Wish = { readonly set: number } | { readonly add: number } | "deleted";

/** Where a listing goes, and how: bounds are numbers of keys. */
interface Way {
  readonly from: number;
  readonly to: number;
  readonly reverse: boolean;
  readonly limit: number;
  readonly conflict: boolean;
}

type Step =
  | { readonly what: "set" | "delete" | "add"; readonly key: number }
  | { readonly what: "list"; readonly way: Way; readonly take: number }
  | { readonly what: "more"; readonly which: number; readonly take: number }
  | { readonly what: "savepoint" }
  | { readonly what: "rollback"; readonly which: number };

const key = fc.nat(KEYS - 1);
const way: fc.Arbitrary<Way> = fc.record({
  from: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, key),
  to: fc.oneof({ weight: 3, arbitrary: fc.constant(KEYS) }, key),
  reverse: fc.boolean(),
  limit: fc.oneof(fc.constantFrom(1, 2), fc.constant(KEYS)),
  conflict: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant("delete" as const), key }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom("set" as const, "add" as const), key }) },
  { weight: 5, arbitrary: fc.record({ what: fc.constant("list" as const), way, take: fc.nat(KEYS) }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant("more" as const), which: fc.nat(9), take: fc.nat(4) }),
  },
  { weight: 1, arbitrary: fc.constant({ what: "savepoint" as const }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("rollback" as const), which: fc.nat(9) }) },
);

/** What a transaction sees, and what it has read, without any memory of what was empty. */
class Model {
  readonly seen = new Set<number>();
  readonly #stored: ReadonlySet<number>;
  #wishes: ReadonlyMap<number, Wish> = new Map();

  constructor(stored: ReadonlySet<number>) {
    this.#stored = stored;
  }

  get wishes(): ReadonlyMap<number, Wish> {
    return this.#wishes;
  }

  goBackTo(wishes: ReadonlyMap<number, Wish>): void {
    this.#wishes = wishes;
  }

  wish(key: number, what: "set" | "delete" | "add", value: number): void {
    const before = this.#wishes.get(key);
    let wish: Wish = "deleted";
    if (what === "set") wish = { set: value };
    else if (what === "add" && before === undefined) wish = { add: value };
    else if (what === "add" && before === "deleted") wish = { set: value };
    else if (what === "add" && typeof before === "object" && "set" in before)
      wish = { set: before.set + value };
    else if (what === "add" && typeof before === "object" && "add" in before)
      wish = { add: before.add + value };
    this.#wishes = new Map(this.#wishes).set(key, wish);
  }

  /** The keys of a listing that begins now; each step notes what was learnt. */
  *list({ from, to, reverse, limit, conflict }: Way): Generator<[number, number], void> {
    const wishes = this.#wishes;
    const numbers = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
    let left = limit;
    const passed: number[] = [];
    for (const key of reverse ? numbers.reverse() : numbers) {
      const wish = wishes.get(key);
      const isHidden = wish === "deleted" || (wish !== undefined && "set" in wish);
      if (!isHidden) passed.push(key);
      const base = this.#stored.has(key) ? key : undefined;
      const added = wish !== undefined && wish !== "deleted" && "add" in wish ? (base ?? 0) + wish.add : base;
      const value = isHidden && wish !== "deleted" ? wish.set : isHidden ? undefined : added;
      if (value === undefined) continue;
      if (conflict) for (const learnt of passed) this.seen.add(learnt);
      yield [key, value];
      if (--left === 0) return;
    }
    if (conflict) for (const learnt of passed) this.seen.add(learnt);
  }
}

function optionsOf({
  from,
  to,
  reverse,
  limit,
  conflict,
}: Way): ListOptions & { readonly conflict: boolean } {
  return { gte: ["q", from], lt: ["q", to], reverse, limit, conflict };
}

/** One that is open, and what it has to give. */
interface Listing {
  readonly found: Iterator<{ readonly key: unknown; readonly value: number }>;
  readonly wanted: Iterator<[number, number]>;
}

function take({ found, wanted }: Listing, count: number): void {
  for (let i = 0; i < count; i++) {
    const [one, other] = [found.next(), wanted.next()];
    const shown = one.done === true ? undefined : [(one.value.key as [string, number])[1], one.value.value];
    expect(shown).toEqual(other.done === true ? undefined : other.value);
  }
}

function run(tx: Transaction<number>, model: Model, steps: readonly Step[]): void {
  const listings: Listing[] = [];
  const savepoints: { readonly savepoint: Savepoint; readonly wishes: Model["wishes"] }[] = [];
  for (const [i, step] of steps.entries()) {
    if (step.what === "list") {
      const found = tx.list(optionsOf(step.way))[Symbol.iterator]();
      listings.push({ found, wanted: model.list(step.way) });
      take(listings[listings.length - 1], step.take);
    } else if (step.what === "more") {
      const listing = listings[step.which % Math.max(1, listings.length)];
      if (listing !== undefined) take(listing, step.take);
    } else if (step.what === "savepoint") {
      savepoints.push({ savepoint: tx.savepoint(), wishes: model.wishes });
    } else if (step.what === "rollback") {
      if (savepoints.length === 0) continue;
      savepoints.length = 1 + (step.which % savepoints.length);
      const { savepoint, wishes } = savepoints[savepoints.length - 1];
      tx.rollbackTo(savepoint);
      model.goBackTo(wishes);
    } else {
      model.wish(step.key, step.what, 100 + i);
      if (step.what === "set") tx.set(["q", step.key], 100 + i);
      else if (step.what === "add") tx.increment(["q", step.key], 100 + i);
      else tx.delete(["q", step.key]);
    }
  }
}

const ALL: Way = { from: 0, to: KEYS, reverse: false, limit: KEYS, conflict: true };
/** Found by breaking what they hold. */
const KEPT: [number[], Step[], number][] = [
  // A listing that began before keys came back comes by them, as they were, after that.
  [
    [0, 1, 2, 3],
    [
      { what: "savepoint" },
      { what: "delete", key: 1 },
      { what: "delete", key: 2 },
      { what: "list", way: ALL, take: 1 },
      { what: "rollback", which: 0 },
      { what: "delete", key: 0 },
      { what: "delete", key: 1 },
      { what: "more", which: 0, take: 1 },
      { what: "list", way: ALL, take: 4 },
    ],
    5,
  ],
];

test.each([7, FRESH])(
  "shows and reads the same, however much it has emptied before (seed %i)",
  async (seed) => {
    const stored = fc.uniqueArray(key, { minLength: KEYS - 2 });
    const steps = fc.array(step, { minLength: 10, maxLength: 40, size: "max" });
    const property = fc.asyncProperty(stored, steps, key, async (keys, steps, changed) => {
      await using db = await open<number>();
      await db.batch(keys.map((value) => ({ type: "set", key: ["q", value], value }) as const));
      const model = new Model(new Set(keys));
      const body = (tx: Transaction<number>, attempt: number): void => {
        // What only reads is never too late.
        tx.set("mark", 1);
        if (attempt === 1) run(tx, model, steps);
      };
      const { result, attempts } = await interleaved(db, body, () => db.set(["q", changed], -1));
      await result;
      expect(attempts()).toBe(model.seen.has(changed) ? 2 : 1);
    });
    await fc.assert(property, { seed, numRuns: 1000, examples: KEPT, endOnFailure: true });
  },
);

test.each([false, true])(
  "looks at each key of a queue a few times, that it takes one by one (reverse: %s)",
  async (reverse) => {
    const looks = vi.spyOn(TransactionState.prototype, "live");
    await using db = await open<number>();
    const count = 2000;
    await db.batch(
      Array.from({ length: count }, (_, i) => ({ type: "set", key: ["q", i], value: i }) as const),
    );
    const taken = await db.transact((tx) => {
      let taken = 0;
      for (const options = { prefix: ["q"], limit: 1, reverse }; ; taken++) {
        const [first] = tx.keys(options);
        if (first === undefined) return taken;
        tx.delete(first);
      }
    });
    expect([taken, db.count()]).toEqual([count, 0]);
    // Each listing looks at the first that was taken, and at one or two beyond the last.
    expect(looks.mock.calls.length).toBeLessThan(6 * count);
    looks.mockRestore();
  },
);
