import { expect, test } from "vitest";
import { Prng } from "../../src/testing/simulated/prng.js";
import { temporaryDirectory } from "../store/fixture.js";
import { Life } from "./life.js";
import { grown, type Resources } from "./resources.js";

/** How long stores live; `npm run soak` raises it. Without it they do so many rounds. */
const MINUTES = Number(process.env.FULMAR_SOAK ?? 0);
const ROUNDS = 12;
const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);
const CLOSING_MS = 300_000;

test(
  `stores that live on hold what they should, and grow no more: memory, files, handles (seed ${SEED})`,
  async () => {
    const life = new Life(await temporaryDirectory(), new Prng(SEED));
    const samples: Resources[] = [];
    const end = Date.now() + MINUTES * 60_000;
    while (samples.length < ROUNDS || Date.now() < end) {
      samples.push(await life.round());
      if (MINUTES > 0 && samples.length % 100 === 0) console.log(samples.length, samples.at(-1));
    }
    await life.close();
    expect(grown(samples)).toEqual([]);
  },
  MINUTES * 60_000 + CLOSING_MS,
);
