import type { Written } from "../../../src/index.js";
import type { Prng, SimulatedDisk } from "../../../src/testing/index.js";
import type { Moment } from "./actor.js";
import { type End, type Found, type Holds, judge, look } from "./found.js";
import { machineOn, must, openOn, openWithSpace } from "./machine.js";
import { type Expectation, readable } from "./oracle.js";
import { checkResuming } from "./resuming.js";
import { probe, type Sequels } from "./sequels.js";

/** How much of what is possible is examined. */
export interface Depth {
  /** Images of each moment. */
  readonly images: number;
  /** Crashes inside the recovery of each image, so many operations apart. */
  readonly innerEvery: number;
  /** Images of each crash inside a recovery. */
  readonly innerImages: number;
  /** Of the programs whose commits are recorded: every so many moments. */
  readonly recordedEvery: number;
  /** How probable it is that a watch resumes on an image. */
  readonly resuming: number;
}

/** What one disk is examined with. */
export interface Examination {
  readonly moment: Moment;
  readonly end: End;
  readonly depth: Depth;
  readonly prng: Prng;
  readonly sequels: Sequels;
  readonly holds: Holds | undefined;
}

/** Opens one image and everything that follows from it. `mark`: its fingerprint, if that says all of it. */
export async function checkImage(
  image: SimulatedDisk,
  mark: string | undefined,
  examination: Examination,
): Promise<void> {
  const { moment, end, depth, prng, sequels, holds } = examination;
  const { expectation } = moment;
  const resumes = expectation.past !== undefined && prng.chance(depth.resuming);
  const resumed = resumes ? image.fork() : undefined;
  const storage = machineOn(image, expectation.wallMs);
  const isRoomy = image.quotaBytes === Number.POSITIVE_INFINITY;
  const inner: SimulatedDisk[] = [];
  let operations = prng.below(depth.innerEvery);
  image.onOperation = (operation, phase) => {
    if (phase === "before" && operation.mutates && ++operations % depth.innerEvery === 0)
      inner.push(image.fork());
  };
  const db = await openWithSpace(storage);
  image.onOperation = undefined;
  sequels.count(1);
  const found = look(db, storage);
  const shown = readable(judge(found, expectation, end, holds), found.wallMs);
  if (mark !== undefined && isRoomy) sequels.remember(mark, expectation.wallMs, found);
  await checkInner(inner, found, examination);
  const { nextSeq } = found;
  const { given } = expectation;
  must(nextSeq > given.seq, `I6: the next seq is ${nextSeq}, ${given.seq} was given out`);
  // Either right after the crash, or after a second one that had nothing to lose.
  const early = prng.chance(0.5);
  if (early) judgeProbe(await probe(db), given);
  storage.powerCut();
  await checkAgain(image.fork(), storage.clock.wallMs(), { found, shown, early }, examination);
  if (resumed === undefined) return;
  const again = await openOn(machineOn(resumed, expectation.wallMs));
  await checkResuming(again, expectation, prng);
  await again.close();
  sequels.count(1);
}

/** Crashes in the middle of a recovery: the next one converges to the same store. */
async function checkInner(
  disks: readonly SimulatedDisk[],
  first: Found,
  { moment, end, depth, sequels, holds }: Examination,
): Promise<void> {
  const { expectation } = moment;
  for (const disk of disks) {
    disk.quotaBytes = Number.POSITIVE_INFINITY;
    for (const image of disk.durableImages(depth.innerImages)) {
      const found = await sequels.found(image, expectation.wallMs);
      judge(found, expectation, "power", holds);
      // What a power cut left was all durable: nothing that happens in recovery may change what is read.
      if (end === "kill") continue;
      must(found.version === first.version, `a recovery that was cut off found ${found.version}`);
      must(found.digest === first.digest, "a recovery that was cut off found something else");
    }
  }
}

/** What was read stays, numbers are new, what is written stays, and an orderly close leaves no litter. */
async function checkAgain(
  disk: SimulatedDisk,
  wallMs: number,
  { found, shown, early }: { found: Found; shown: string; early: boolean },
  { moment, sequels }: Examination,
): Promise<void> {
  const { second, probed, rest, keepsProbe } = await sequels.sequel(disk, wallMs, !early);
  const same = second.version === found.version && second.digest === found.digest;
  must(early || same, `I4: the second opening finds ${second.version}, the first found ${found.version}`);
  if (probed !== undefined) judgeProbe(probed, moment.expectation.given);
  must(keepsProbe && rest === shown, `I1: after the next crash there is ${rest.slice(0, 300)}`);
}

function judgeProbe({ version, stamp }: Written<string>, given: Expectation["given"]): void {
  must(version > given.version, `I6: version ${version} again, ${given.version} was given out`);
  must(stamp.seq > given.seq, `I6: seq ${stamp.seq} again, ${given.seq} was given out`);
  must(stamp.hlc > given.hlc, `I6: time ${stamp.hlc} again, ${given.hlc} was kept`);
}
