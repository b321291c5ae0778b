import { beforeEach, describe, expect, test } from "vitest";
import { finishLoad } from "../../../src/durability/finish-load.js";
import type { BulkLoader } from "../../../src/memory/engine.js";
import { machine } from "../harness.js";
import { type Steady, steady } from "./steady.js";

let rig: Steady;
/** Each step with the turns that were had before it, and the end with its version. */
let calls: (number | string)[];

beforeEach(() => {
  rig = steady(machine().runtime);
  calls = [];
});

/** A load with nothing left to do after so many steps. */
function loaderOf(steps: number, stepMs = 0): BulkLoader {
  let nowMs = 0;
  rig.nowMs = () => nowMs;
  return {
    announce: () => undefined,
    addAll: () => 0,
    expect: () => undefined,
    put: () => undefined,
    step: () => {
      calls.push(rig.turns);
      nowMs += stepMs;
      return calls.length === steps;
    },
    finish: (version) => calls.push(`finish ${version}`),
  };
}

describe("the end of a load", () => {
  test("is reached in steps until nothing is left, and then stated once", async () => {
    await finishLoad(rig.runtime, loaderOf(3), 7);
    expect(calls).toEqual([0, 0, 0, "finish 7"]);
  });

  test("lets other work through after 16 steps, if the clock stands", async () => {
    await finishLoad(rig.runtime, loaderOf(34), 7);
    const turns = (count: number): number[] => Array(16).fill(count);
    expect(calls).toEqual([...turns(0), ...turns(1), 2, 2, "finish 7"]);
  });

  test("lets other work through after 4 ms, but not when nothing is left", async () => {
    await finishLoad(rig.runtime, loaderOf(5, 2), 7);
    expect(calls).toEqual([0, 0, 1, 1, 2, "finish 7"]);
    expect(rig.turns).toBe(2);
    calls = [];
    rig.turns = 0;
    await finishLoad(rig.runtime, loaderOf(1, 100), 8);
    expect(calls).toEqual([0, "finish 8"]);
    expect(rig.turns).toBe(0);
  });
});
