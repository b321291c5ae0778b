import { type DiskProfile, Prng, simulatedStorage } from "../../../src/testing/index.js";
import { Actor, type Moment } from "./actor.js";
import { checkImage, type Depth } from "./check.js";
import { CRYPTOGRAPHY } from "./machine.js";
import { Sequels } from "./sequels.js";
import type { Workload } from "./workloads.js";

/** What an enumeration looked at. */
export interface Count {
  readonly moments: number;
  readonly images: number;
  readonly opened: number;
}

/** Runs a workload once, then crashes it at each of its disk operations. */
export async function enumerate(
  workload: Workload,
  profile: DiskProfile,
  seed: string,
  depth: Depth,
): Promise<Count> {
  const prng = new Prng(`${seed} ${profile} ${workload.name}`);
  const shape = { profile, sectorBytes: prng.pick([512, 4096] as const), sectorAtomic: prng.chance(0.5) };
  const storage = simulatedStorage({
    ...shape,
    seed: prng.word(),
    staleGarbage: prng.chance(0.3),
    cryptography: CRYPTOGRAPHY,
  });
  const actor = new Actor(storage, workload.options ?? {}, workload.records ?? false);
  await workload.run(actor);
  actor.note("the end");
  storage.disk.onOperation = undefined;
  let images = 0;
  const sequels = new Sequels();
  const promises = new Map<string, number>();
  const seen = new Set<string>();
  const every = workload.records === true ? depth.recordedEvery : 1;
  for (const [index, moment] of actor.moments.entries()) {
    if ((actor.moments.length - 1 - index) % every !== 0) continue;
    const promise = promiseOf(moment, promises);
    for (const { image, end } of imagesOf(moment, depth, prng)) {
      const print = end === "kill" ? undefined : image.fingerprint();
      const mark = `${end} ${print ?? index} ${promise}`;
      if (seen.has(mark)) continue;
      seen.add(mark);
      try {
        const { holds } = workload;
        await checkImage(image, print, { moment, end, depth, prng, sequels, holds });
      } catch (error) {
        const where = `"${workload.name}" on ${profile} (seed ${seed}), ${end} ${moment.label}, operation ${index}`;
        throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
      images++;
    }
  }
  return { moments: actor.moments.length, images, opened: sequels.opened };
}

/** A number for what must hold at a moment: what was promised may be long, and is compared for each image. */
function promiseOf({ expectation }: Moment, promises: Map<string, number>): number {
  const { keptByKill, keptByPower, commits } = expectation;
  const promise = `${keptByKill} ${keptByPower} ${JSON.stringify(commits)}`;
  const number = promises.get(promise) ?? promises.size;
  promises.set(promise, number);
  return number;
}

function* imagesOf(moment: Moment, depth: Depth, prng: Prng) {
  yield { image: moment.disk.fork(), end: "kill" as const };
  for (const image of moment.disk.durableImages(depth.images, prng)) yield { image, end: "power" as const };
}
