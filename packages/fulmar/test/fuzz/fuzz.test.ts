import { describe, expect, test, vi } from "vitest";
import type * as shape from "../../src/memory/offheap/shape.js";
import { BlockCoverage } from "./block-coverage.js";
import { type FuzzTarget, fuzz } from "./fuzzer.js";
import { lock } from "./lock.js";
import { TARGETS } from "./targets.js";

vi.mock("../../src/memory/offheap/shape.js", async (original) => {
  const { small } = await import("../crash/enumeration/small-engine.js");
  const real = await original<typeof shape>();
  return { ...real, DEFAULT_SHAPE: small(real.DEFAULT_SHAPE) };
});

/** Inputs per reader; `npm run fuzz` sets more. */
const RUNS = Number(process.env.FULMAR_FUZZ ?? 600);
/** One that nobody has seen before, unless it is given. */
const SEED = process.env.FULMAR_SEED ?? `${Date.now()}`;
/** Seeds that once found something, with the name of the reader. */
const KEPT = [
  ["checkpoint", "1795292141600"],
  ["backup", "expired-3"],
] as const;

describe("any bytes at all are refused by name, or read and written back the same", () => {
  test.each(Object.entries(TARGETS))(
    `T-FUZZ-01: %s, up to ${RUNS} inputs (seed ${SEED})`,
    async (_name, make) => {
      const target = await make();
      const coverage = new BlockCoverage("/fulmar/src/");
      try {
        const { corpus, covered } = await fuzz(target, SEED, Math.ceil(RUNS / (target.cost ?? 1)), coverage);
        if (RUNS > 600)
          console.log(`${target.name}: ${corpus} inputs kept, ${covered} characters of source reached`);
        // How much a seed finds is chance; that somebody watches what it reaches is not.
        expect(covered).toBeGreaterThan(0);
      } finally {
        coverage.stop();
      }
    },
    36_000_000,
  );
});

test.each(KEPT)("T-FUZZ-01: %s, with seed %s, which found something once", async (name, seed) => {
  const target = await TARGETS[name]();
  const coverage = new BlockCoverage("/fulmar/src/");
  try {
    expect((await fuzz(target, seed, 600, coverage)).covered).toBeGreaterThan(0);
  } finally {
    coverage.stop();
  }
});

describe("the fuzzer", () => {
  test("is led by what inputs reach, step by step", async () => {
    const opened = { count: 0 };
    const coverage = new BlockCoverage("/fuzz/lock.ts");
    const target = lock(opened);
    await fuzz(target, "steps", 40_000, coverage);
    coverage.stop();
    expect(opened.count).toBeGreaterThan(0);
    opened.count = 0;
    await fuzz(target, "steps", 40_000, undefined);
    expect(opened.count).toBe(0);
  });

  test("names the input that breaks a promise, cut to what matters", async () => {
    const target: FuzzTarget = {
      name: "example",
      seeds: [new Uint8Array(64)],
      bytesMax: 64,
      allocatedBytesMax: 1000,
      async run(bytes) {
        if (bytes[3] > 250) throw new TypeError("too large a byte");
      },
    };
    await expect(fuzz(target, "1", 10_000, undefined)).rejects.toThrow(
      /^example, seed 1: too large a byte\ninput \(4 bytes\): [0-9a-f]{6}f[b-f]$/,
    );
  });

  test("stops a reader that believes a length", async () => {
    const target: FuzzTarget = {
      name: "believer",
      seeds: [new Uint8Array(4)],
      bytesMax: 8,
      allocatedBytesMax: 1000,
      async run(bytes) {
        new Uint8Array(256 * bytes[0]);
      },
    };
    await expect(fuzz(target, "1", 1000, undefined)).rejects.toThrow(/exceeds 1000 in all/);
    expect(new Uint8Array(2000).length).toBe(2000);
  });

  test("names the input that takes a step for each two of its bytes", async () => {
    const coverage = new BlockCoverage("/fuzz/fuzz.test.ts");
    let steps = 0;
    const target: FuzzTarget = {
      name: "example",
      seeds: [new Uint8Array(1000)],
      bytesMax: 1000,
      allocatedBytesMax: 10_000,
      async run(bytes) {
        if (bytes[3] < 251) return;
        for (const first of bytes) for (const second of bytes) if (first <= second) steps++;
      },
    };
    try {
      const named =
        /^example, seed 1: it takes \d+ steps, above 400000\ninput \(\d+ bytes\): [0-9a-f]{6}f[b-f]/;
      await expect(fuzz(target, "1", 10_000, coverage)).rejects.toThrow(named);
      expect(steps).toBeGreaterThan(400_000);
    } finally {
      coverage.stop();
    }
  });
});
