import { describe, expect, it } from "vitest";
import { RegisterWorld } from "./histories/register-world.js";
import { WEAKENINGS } from "./histories/weakened.js";

/** Each of which is known to do enough. */
const KNOWN = 24;
const FRESH = Number(process.env.FULMAR_SEED ?? Date.now() % 2 ** 31);
/** How many seeds a weakened store has, to be caught with one of them. */
const WEAKENED = 4;

describe("histories of reads, sets, deletions, conditions and deadlines at hot keys, through crashes", () => {
  for (const seed of [...Array.from({ length: KNOWN }, (_, index) => index + 1), FRESH]) {
    it(`are linearizable (seed ${seed})`, async () => {
      const world = new RegisterWorld(seed);
      await world.run();
      expect(world.contradictions()).toEqual([]);
      if (seed <= KNOWN) expect(world.operations).toBeGreaterThan(60);
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
