import { afterAll, describe, expect, it } from "vitest";
import { seedsOf, Tally } from "./histories/long-run.js";
import { RegisterWorld } from "./histories/register-world.js";
import { WEAKENINGS } from "./histories/weakened.js";

/** Each of which is known to do enough. */
const KNOWN = Array.from({ length: 24 }, (_, index) => index + 1);
const SEEDS = seedsOf(KNOWN);
/** How many seeds a weakened store has, to be caught with one of them. */
const WEAKENED = 4;

const tally = new Tally("registers", SEEDS);
afterAll(() => tally.tell());

function count(world: RegisterWorld): void {
  const operations = [...world.registers.values()].flat();
  const of = (isCounted: (one: (typeof operations)[number]) => boolean) =>
    operations.filter(isCounted).length;
  tally.add({
    operations: of(({ do: kind }) => kind !== "expire"),
    "not known to have been done": of(({ unknown }) => unknown === true),
    "deadlines that came": of(({ do: kind }) => kind === "expire"),
    crashes: world.crashes,
  });
}

describe("histories of reads, sets, deletions, conditions and deadlines at hot keys, through crashes", () => {
  for (const seed of SEEDS) {
    it(`are linearizable (seed ${seed})`, async () => {
      const world = new RegisterWorld(seed);
      await world.run();
      expect(world.contradictions()).toEqual([]);
      if (KNOWN.includes(seed)) expect(world.operations).toBeGreaterThan(60);
      count(world);
    });
  }

  it.each([...WEAKENINGS])("are not, with %s", async (_, weaken) => {
    const contradictions: string[] = [];
    for (let seed = 1; seed <= WEAKENED; seed++) {
      const world = new RegisterWorld(seed, weaken);
      await world.run();
      contradictions.push(...world.contradictions());
    }
    expect(contradictions).not.toEqual([]);
  });
});
