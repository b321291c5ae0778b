import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import base from "../../../../vitest.config.ts";

/**
 * What `npm run crash` runs on: one worker for each core. The programs are dealt out in several parts for each, and
 * whichever worker is free takes the next part, as some programs take a hundred times as long as others. There are no
 * more parts than programs.
 */
const CORES = availableParallelism();
const PARTS = Math.min(36, 4 * CORES);
/** One for all workers; every line of the output names it. */
const SEED = process.env.FULMAR_SEED ?? `${Date.now()}`;

export default defineConfig({
  root: process.cwd(),
  test: {
    maxWorkers: CORES,
    projects: [
      ...Array.from({ length: PARTS }, (_, part) => ({
        resolve: base.resolve ?? {},
        test: {
          name: `part ${part + 1} of ${PARTS}`,
          include: ["packages/fulmar/test/crash/enumeration-*.test.ts"],
          env: { FULMAR_SEED: SEED, FULMAR_CRASH_PART: `${part}/${PARTS}` },
        },
      })),
      {
        resolve: base.resolve ?? {},
        test: {
          name: "killed, then cut",
          include: ["packages/fulmar/test/crash/killed-and-cut.test.ts"],
          env: { FULMAR_SEED: SEED },
        },
      },
    ],
  },
});
