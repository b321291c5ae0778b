import { describe, expect, it } from "vitest";
import { ConflictError, type Key, open, type Store, type Transaction } from "../../src/index.js";
import { Prng } from "../../src/testing/index.js";

/**
 * Random transactions, most of which wait between their steps, on few keys. The order of versions must be a
 * serial order: each transaction is done again, alone, on a plain map in the state right before its version,
 * and must read the same there and leave the same behind.
 */

const KEYS = 6;
const AT_ONCE = 5;
const ROUNDS = Number(process.env.FULMAR_ROUNDS ?? 80);
const FIXED = [1, 2, 3, 4, 5, 6];
const SEEDS = [...FIXED, Number(process.env.FULMAR_SEED ?? Date.now() % 2 ** 31)];

/** What a step can do, in a transaction and on a plain map. */
interface Accessor {
  get(key: number): number | undefined;
  set(key: number, value: number): void;
  delete(key: number): void;
  increment(key: number, by: number): void;
  sum(from: number, to: number, limit: number, reverse: boolean): number;
  count(): number;
}

/** Does something, and returns what it read. What it writes may depend on what was read `before`. */
type Step = (on: Accessor, before: number) => number | undefined;

interface Plan {
  readonly id: number;
  readonly steps: readonly { readonly step: Step; readonly waits: number }[];
}

type Outcome = {
  readonly plan: Plan;
  readonly version: number;
  readonly reads: readonly (number | undefined)[];
};

function randomStep(random: Prng, value: number): Step {
  const key = random.below(KEYS);
  const other = random.below(KEYS);
  const limit = 1 + random.below(3);
  const reverse = random.below(2) === 1;
  switch (random.below(8)) {
    case 0:
    case 1:
      return (on) => on.get(key) ?? -1;
    case 2:
      return (on) => void on.set(key, value);
    case 3:
      return (on, before) => void on.set(key, (before + value) % 1_000_003);
    case 4:
      return (on) => void on.delete(key);
    case 5:
      return (on) => void on.increment(key, 1);
    case 6:
      return (on) => on.sum(Math.min(key, other), Math.max(key, other), limit, reverse);
    default:
      return (on) => on.count();
  }
}

function randomPlan(random: Prng, id: number): Plan {
  const patience = random.below(3);
  const steps = Array.from({ length: 1 + random.below(5) }, (_, index) => ({
    step: randomStep(random, id * 10 + index),
    waits: random.below(patience + 1),
  }));
  return { id, steps };
}

function onMap(state: Map<number, number>): Accessor {
  return {
    get: (key) => state.get(key),
    set: (key, value) => state.set(key, value),
    delete: (key) => state.delete(key),
    increment: (key, by) => state.set(key, (state.get(key) ?? 0) + by),
    sum(from, to, limit, reverse) {
      const within = [...state.keys()].filter((key) => key >= from && key <= to).sort((a, b) => a - b);
      const taken = (reverse ? within.reverse() : within).slice(0, limit);
      return taken.reduce((sum, key) => sum + key * 7 + (state.get(key) ?? 0), 0);
    },
    count: () => state.size,
  };
}

/** All data is under numbers; the markers of transactions are under strings. */
const NUMBERS = { gte: Number.NEGATIVE_INFINITY, lte: Number.POSITIVE_INFINITY };

function onTransaction(tx: Transaction<number>): Accessor {
  return {
    get: (key) => tx.get(key),
    set: (key, value) => tx.set(key, value),
    delete: (key) => tx.delete(key),
    increment: (key, by) => tx.increment(key, by),
    sum(from, to, limit, reverse) {
      let sum = 0;
      for (const { key, value } of tx.list({ gte: from, lte: to, limit, reverse }))
        sum += Number(key) * 7 + value;
      return sum;
    },
    count: () => tx.count(NUMBERS),
  };
}

/** Runs a plan once. Undefined after a conflict. */
async function attempt(db: Store<number>, plan: Plan, writes: boolean): Promise<Outcome | undefined> {
  const marker: Key = `done ${plan.id}`;
  let reads: (number | undefined)[] = [];
  let snapshot = 0;
  try {
    await db.transact(
      async (tx) => {
        snapshot = tx.version;
        let before = 0;
        reads = [];
        for (const { step, waits } of plan.steps) {
          const read = step(onTransaction(tx), before);
          reads.push(read);
          before = read ?? before;
          for (let i = 0; i < waits; i++) await undefined;
        }
        if (writes) tx.set(marker, plan.id);
      },
      { retries: 0 },
    );
  } catch (error) {
    if (error instanceof ConflictError) return undefined;
    throw error;
  }
  return { plan, version: db.entry(marker)?.version ?? snapshot, reads };
}

/** Does everything again, one after the other, in the order of versions. */
function replay(outcomes: readonly Outcome[], readers: readonly Outcome[]): Map<number, number> {
  const state = new Map<number, number>();
  const accessor = onMap(state);
  const check = ({ plan, reads, version }: Outcome): void => {
    let before = 0;
    plan.steps.forEach(({ step }, index) => {
      const read = step(accessor, before);
      expect(read, `transaction ${plan.id} at version ${version}, step ${index}`).toBe(reads[index]);
      before = read ?? before;
    });
  };
  const waiting = [...readers].sort((a, b) => a.version - b.version);
  for (const outcome of [...outcomes].sort((a, b) => a.version - b.version)) {
    while (waiting.length > 0 && waiting[0].version < outcome.version) check(waiting.shift() as Outcome);
    check(outcome);
  }
  for (const reader of waiting) check(reader);
  return state;
}

const isReader = (plan: Plan): boolean => {
  const touched: number[] = [];
  const spy = { ...onMap(new Map()), set: () => touched.push(1), delete: () => touched.push(1) };
  for (const { step } of plan.steps) step({ ...spy, increment: () => touched.push(1) }, 0);
  return touched.length === 0;
};

describe("random transactions", () => {
  for (const seed of SEEDS) {
    it(`are as if they had run one after the other in the order of versions (seed ${seed})`, async () => {
      const random = new Prng(seed);
      await using db = await open<number>();
      const writers: Outcome[] = [];
      const readers: Outcome[] = [];
      let conflicts = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const plans = Array.from({ length: AT_ONCE }, (_, index) =>
          randomPlan(random, round * AT_ONCE + index),
        );
        const done = await Promise.all(plans.map((plan) => attempt(db, plan, !isReader(plan))));
        done.forEach((outcome, index) => {
          if (outcome === undefined) conflicts++;
          else (isReader(plans[index]) ? readers : writers).push(outcome);
        });
      }
      const state = replay(writers, readers);
      const left = [...db.list(NUMBERS)].map(({ key, value }) => [key, value]);
      expect(left).toEqual([...state].sort(([a], [b]) => a - b));
      expect(db.status().memory.oldVersions).toBe(0);
      // Otherwise the test would show nothing: some waited for each other, and most came through.
      if (!FIXED.includes(seed)) return;
      expect(conflicts).toBeGreaterThan(0);
      expect(writers.length).toBeGreaterThan(conflicts / 2);
      expect(readers.length).toBeGreaterThan(0);
    });
  }
});
