import { codeOf } from "../../../src/base/errors.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { SEALED } from "../../../src/durability/segment-format.js";
import { verifyDirectory } from "../../../src/durability/verify.js";
import { type Encryption, open, type Store } from "../../../src/index.js";
import { createKeyring } from "../../../src/store/encryption.js";
import { portOf } from "../../../src/store/port.js";
import {
  nodeCryptography,
  type Prng,
  type SimulatedDisk,
  type SimulatedStorage,
  simulatedStorage,
} from "../../../src/testing/index.js";
import { type Moment, ROOT } from "./actor.js";
import { candidates, type Expectation, readable, type State } from "./oracle.js";
import { checkResuming } from "./resuming.js";

/** How the machine went down. */
export type End = "kill" | "power";

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

function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

function machineOn(disk: SimulatedDisk, wallMs: number): SimulatedStorage {
  const storage = simulatedStorage({ disk, seed: disk.prng.word(), cryptography: nodeCryptography });
  storage.clock.jump(wallMs - storage.clock.wallMs());
  return storage;
}

/** The key of workloads that encrypt before their key changes. */
export const FORMER_KEY = new Uint8Array(32).fill(9);

/** What a workload that encrypts gives to `open`. */
export const ENCRYPTION: Encryption = { key: new Uint8Array(32).fill(7), previousKeys: [FORMER_KEY] };

/** How to open what is there: encrypted if some file is. */
function encryptionOf(storage: SimulatedStorage): { encryption?: Encryption } {
  for (const [path, bytes] of storage.disk.image()) {
    const flag = path.endsWith(".log") ? SEALED : path.includes("/checkpoint/") ? SEALED_CHECKPOINT : 0;
    if (((bytes[12] ?? 0) & flag) !== 0) return { encryption: ENCRYPTION };
  }
  return {};
}

const SEALED_CHECKPOINT = 8;

function openOn(storage: SimulatedStorage): Promise<Store<string>> {
  const { runtime } = storage;
  return open<string>(ROOT, {
    ...encryptionOf(storage),
    codec: "text",
    runtime,
    segmentBytes: 65_536,
    durability: "full",
  });
}

/** A disk that is still full may turn an open down; then it is given space. */
async function openWithSpace(storage: SimulatedStorage): Promise<Store<string>> {
  const { disk } = storage;
  if (disk.quotaBytes !== Number.POSITIVE_INFINITY) {
    try {
      await (await openOn(storage)).close();
    } catch (error) {
      must(codeOf(error) === "DISK_FULL", `on a full disk: ${String(error)}`);
    }
    disk.quotaBytes = Number.POSITIVE_INFINITY;
    storage.restart();
  }
  return openOn(storage);
}

/** What is true of every state of a program. */
type Holds = (entries: ReadonlyMap<string, string>) => void;

/** I1, I2, I3 of a store that was just opened; returns the state that it shows. */
function checkFound(
  db: Store<string>,
  expectation: Expectation,
  end: End,
  nowMs: number,
  holds: Holds | undefined,
): State {
  const least = end === "kill" ? expectation.keptByKill : expectation.keptByPower;
  must(db.version >= least, `I1: version ${db.version} is there, ${least} was acknowledged`);
  const shown = JSON.stringify([...db.list()].map(({ key, value }) => [key, value]));
  const state = candidates(expectation, db.version).find((each) => readable(each, nowMs) === shown);
  must(state !== undefined, `I2, I3: no prefix of the commits shows ${shown.slice(0, 300)}`);
  portOf(db).engine.verify();
  holds?.(new Map([...db.list()].map(({ key, value }) => [key as string, value])));
  if (expectation.past !== undefined) checkCoverage(db, expectation);
  return state;
}

/** The frontier of another writer is where the commits that were found leave it: it claims nothing that is lost. */
function checkCoverage(db: Store<string>, { past = [], commits }: Expectation): void {
  const frontiers = new Map<string, number>();
  for (const { foreign, version = 0 } of [...past, ...commits]) {
    if (foreign === undefined) continue;
    const before = frontiers.get(foreign.origin) ?? 0;
    frontiers.set(foreign.origin, version <= db.version ? Math.max(before, foreign.seq) : before);
  }
  for (const [origin, upTo] of frontiers) {
    const covered = portOf(db).coverage().of(origin).upTo;
    must(covered === upTo, `I2: version ${db.version} claims ${covered} of a peer, and has ${upTo}`);
  }
}

/** Opens one image and everything that follows from it. Returns how many states were opened. */
export async function checkImage(
  image: SimulatedDisk,
  moment: Moment,
  end: End,
  depth: Depth,
  prng: Prng,
  holds?: Holds,
): Promise<number> {
  const { expectation } = moment;
  const resumes = expectation.past !== undefined && prng.chance(depth.resuming);
  const resumed = resumes ? image.fork() : undefined;
  const storage = machineOn(image, expectation.wallMs);
  const inner: SimulatedDisk[] = [];
  let operations = prng.below(depth.innerEvery);
  image.onOperation = (operation, phase) => {
    if (phase === "before" && operation.mutates && ++operations % depth.innerEvery === 0)
      inner.push(image.fork());
  };
  const db = await openWithSpace(storage);
  image.onOperation = undefined;
  const nowMs = storage.clock.wallMs();
  const found = checkFound(db, expectation, end, nowMs, holds);
  const first = { version: db.version, digest: db.digest() };
  let opened = 1;
  opened += await checkInner(inner, expectation, end, first, depth, holds);
  opened += await checkAgain(storage, db, expectation, readable(found, nowMs), prng.chance(0.5));
  if (resumed !== undefined) {
    const again = await openOn(machineOn(resumed, expectation.wallMs));
    await checkResuming(again, expectation, prng);
    await again.close();
    opened++;
  }
  return opened;
}

/** Crashes in the middle of a recovery: the next one converges to the same store. */
async function checkInner(
  disks: readonly SimulatedDisk[],
  expectation: Expectation,
  end: End,
  first: { version: number; digest: string },
  depth: Depth,
  holds: Holds | undefined,
): Promise<number> {
  let opened = 0;
  for (const disk of disks) {
    disk.quotaBytes = Number.POSITIVE_INFINITY;
    for (const image of disk.durableImages(depth.innerImages)) {
      const storage = machineOn(image, expectation.wallMs);
      const db = await openOn(storage);
      checkFound(db, expectation, "power", storage.clock.wallMs(), holds);
      // What a power cut left was all durable: nothing that happens in recovery may change what is read.
      if (end === "power") {
        must(db.version === first.version, `a recovery that was cut off found ${db.version}`);
        must(db.digest() === first.digest, "a recovery that was cut off found something else");
      }
      opened++;
      await db.close();
    }
  }
  return opened;
}

/** What was read stays, numbers are new, what is written stays, and an orderly close leaves no litter. */
async function checkAgain(
  storage: SimulatedStorage,
  db: Store<string>,
  { given }: Expectation,
  shown: string,
  early: boolean,
): Promise<number> {
  const first = { version: db.version, digest: db.digest() };
  must(
    db.status().nextSeq > given.seq,
    `I6: the next seq is ${db.status().nextSeq}, ${given.seq} was given out`,
  );
  // Either right after the crash, or after a second one that had nothing to lose.
  if (early) await probe(db, given);
  const second = await afterPowerCut(storage);
  const same = second.version === first.version && second.digest() === first.digest;
  must(early || same, `I4: the second opening finds ${second.version}, the first found ${first.version}`);
  if (!early) await probe(second, given);
  const third = await afterPowerCut(storage);
  const entries = [...third.list()].map(({ key, value }) => [key, value] as const);
  const rest = JSON.stringify(entries.filter(([key]) => key !== PROBE));
  must(third.get(PROBE) === "x" && rest === shown, `I1: after the next crash there is ${rest.slice(0, 300)}`);
  await checkClose(storage, third);
  return 3;
}

const PROBE = "~ probe";

async function probe(db: Store<string>, given: Expectation["given"]): Promise<void> {
  const { version, stamp } = await db.set(PROBE, "x");
  must(version > given.version, `I6: version ${version} again, ${given.version} was given out`);
  must(stamp.seq > given.seq, `I6: seq ${stamp.seq} again, ${given.seq} was given out`);
  must(stamp.hlc > given.hlc, `I6: time ${stamp.hlc} again, ${given.hlc} was kept`);
}

function afterPowerCut(storage: SimulatedStorage): Promise<Store<string>> {
  storage.powerCut();
  storage.restart();
  return openOn(storage);
}

async function checkClose(storage: SimulatedStorage, db: Store<string>): Promise<void> {
  const digest = db.digest();
  await db.close();
  const keyring = createKeyring(storage.runtime, encryptionOf(storage).encryption);
  const report = await verifyDirectory(withKeyring(storage.runtime, keyring), ROOT);
  const complaints = JSON.stringify(report.findings);
  must(report.ok && report.findings.length === 0, `I5: a closed store has ${complaints}`);
  const again = await openOn(storage);
  must(again.digest() === digest, "I4: closing and opening changed the store");
  await again.close();
}
