import { type DiskProfile, nodeCryptography, Prng, simulatedStorage } from "../../../src/testing/index.js";
import { Actor, type Moment } from "./actor.js";
import { checkImage, type Depth } from "./check.js";
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
    cryptography: nodeCryptography,
  });
  const actor = new Actor(storage, workload.options ?? {}, workload.records ?? false);
  await workload.run(actor);
  actor.note("the end");
  storage.disk.onOperation = undefined;
  let images = 0;
  let opened = 0;
  const seen = new Set<string>();
  const every = workload.records === true ? depth.recordedEvery : 1;
  for (const [index, moment] of actor.moments.entries()) {
    if ((actor.moments.length - 1 - index) % every !== 0) continue;
    for (const { image, end } of imagesOf(moment, depth, prng)) {
      const { keptByKill, keptByPower, commits } = moment.expectation;
      const promise = `${keptByKill} ${keptByPower} ${JSON.stringify(commits)}`;
      const mark = `${end} ${end === "kill" ? index : image.fingerprint()} ${promise}`;
      if (seen.has(mark)) continue;
      seen.add(mark);
      try {
        opened += await checkImage(image, moment, end, depth, prng, workload.holds);
      } catch (error) {
        const where = `"${workload.name}" on ${profile} (seed ${seed}), ${end} ${moment.label}, operation ${index}`;
        throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
      images++;
    }
  }
  return { moments: actor.moments.length, images, opened };
}

function* imagesOf(moment: Moment, depth: Depth, prng: Prng) {
  yield { image: moment.disk.fork(), end: "kill" as const };
  for (const image of moment.disk.durableImages(depth.images, prng)) yield { image, end: "power" as const };
}
