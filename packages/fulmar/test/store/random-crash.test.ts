import { expect, test } from "vitest";
import { RandomWorld } from "./random-world.js";

/** FULMAR_SEEDS=first:count runs others, and more of them. */
const [FIRST, COUNT] = (process.env.FULMAR_SEEDS ?? "1:12").split(":").map(Number);

test("random writes, faults, kills, power cuts: what was acknowledged stays, what was refused is gone", async () => {
  for (let seed = FIRST; seed < FIRST + (COUNT ?? 1); seed++) {
    try {
      await new RandomWorld(seed).run(12);
    } catch (error) {
      expect.fail(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
}, 3_600_000);
