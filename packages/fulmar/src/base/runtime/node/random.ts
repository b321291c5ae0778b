import { randomFillSync, randomInt } from "node:crypto";
import { assert } from "../../assert.js";
import type { Random } from "../interface.js";

export const nodeRandom: Random = Object.freeze({
  fill(target: Uint8Array): void {
    randomFillSync(target);
  },
  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 32, "a random bound is in [1, 2^32]");
    return randomInt(bound);
  },
});
