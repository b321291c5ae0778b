import { afterAll, describe, expect, it } from "vitest";
import { KEPT, ListWorld } from "./histories/list-world.js";
import { seedsOf, Tally } from "./histories/long-run.js";

/** The first ones, each of which is known to commit enough: of a seed that nobody has run nobody can ask that. */
const KNOWN = Array.from({ length: 12 }, (_, index) => index + 1);
/** One in which power failed between a swap that was done and what the client did next. */
const SWAPPED = 1222;
/** Ones in which a client outlived its machine, or a transaction that only read had seen what a crash took away. */
const OUTLIVED = [166_784_106, 166_785_692, 166_785_951];
const SEEDS = seedsOf([...KNOWN, SWAPPED, ...OUTLIVED, ...KEPT]);

const tally = new Tally("transactions", SEEDS);
afterAll(() => tally.tell());

function count(world: ListWorld): void {
  const isTransaction = ({ id }: { readonly id: string }) => id.startsWith("t") || id.startsWith("a");
  const transactions = world.history.filter(isTransaction);
  const ended = (how: string) => transactions.filter(({ outcome }) => outcome === how).length;
  tally.add({
    transactions: transactions.length,
    committed: ended("committed"),
    aborted: ended("aborted"),
    "open at a crash": ended("unknown"),
    "states seen beside them": world.history.length - transactions.length,
    crashes: world.crashes,
  });
}

describe("histories of transactions, snapshots, plain reads and watchers through crashes", () => {
  for (const seed of SEEDS) {
    it(`are strictly serializable (seed ${seed})`, async () => {
      const world = new ListWorld(seed);
      await world.run();
      expect(world.contradictions()).toEqual([]);
      const committed = world.history.filter(({ outcome }) => outcome === "committed");
      if (KNOWN.includes(seed)) expect(committed.length).toBeGreaterThan(20);
      count(world);
    });
  }
});
