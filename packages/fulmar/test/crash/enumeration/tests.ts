import { writeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { DiskProfile } from "../../../src/testing/index.js";
import type { Depth } from "./check.js";
import { type Count, enumerate } from "./enumerate.js";
import { WORKLOADS } from "./workloads.js";

/**
 * How much is looked at: of each moment, all images if there are not more, otherwise so many of them. Of three images
 * one is neither of the extremes, so that a write of several sectors is torn.
 */
const DEPTHS: Readonly<Record<string, Depth>> = {
  /** `npm test`: seconds. */
  sample: { images: 3, innerEvery: 37, innerImages: 3, recordedEvery: 7, resuming: 0.2 },
  /** `npm run crash`: minutes. */
  full: { images: 128, innerEvery: 4, innerImages: 3, recordedEvery: 1, resuming: 1 },
  /** `npm run crash:all`, which crashes again at every operation inside each recovery: hours. */
  all: { images: 4096, innerEvery: 1, innerImages: 3, recordedEvery: 1, resuming: 1 },
};
const CHOSEN = process.env.FULMAR_CRASH ?? "sample";
const DEPTH = DEPTHS[CHOSEN];
const FULL = CHOSEN !== "sample";
/** One fixed seed, and one that nobody has seen before. */
const SEEDS = ["fixed", process.env.FULMAR_SEED ?? `${Date.now()}`];
/** Which of how many parts this worker runs; all of it by default. */
const [PART, PARTS] = (process.env.FULMAR_CRASH_PART ?? "0/1").split("/").map(Number) as [number, number];

/** What one program came to, as soon as it has ended: the runner shows what is logged when a file has ended. */
function report(what: string, { moments, images, opened }: Count, since: NodeJS.CpuUsage): void {
  const { user, system } = process.cpuUsage(since);
  const spent = `${((user + system) / 1e6).toFixed(1)} s of one core`;
  writeSync(2, `${what}: ${moments} moments, ${images} images, ${opened} openings, ${spent}\n`);
}

/** Crashes after every disk operation of each workload, on one kind of disk. */
export function enumerationTests(profile: DiskProfile): void {
  describe(`crashes after every disk operation, ${profile}`, () => {
    test.each(WORKLOADS.filter((_, index) => index % PARTS === PART))(
      "$name",
      async (workload) => {
        for (const seed of SEEDS) {
          const since = process.cpuUsage();
          const count = await enumerate(workload, profile, seed, DEPTH);
          const { moments, images } = count;
          if (FULL) report(`${profile}, ${workload.name}, seed ${seed}`, count, since);
          if (seed === SEEDS[0])
            expect(images).toBeGreaterThan(FULL || workload.records !== true ? moments : moments / 5);
        }
      },
      3_600_000,
    );
  });
}
