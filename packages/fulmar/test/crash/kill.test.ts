import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { open } from "../../src/index.js";
import { Prng } from "../../src/testing/simulated/prng.js";
import { temporaryDirectory } from "../store/fixture.js";
import { killDuring, killWhileWriting, type Moment, type Scene } from "./kill/killing.js";
import { checkBackups, checkFiles, checkWhole, Oracle, withKey } from "./kill/oracle.js";

/** Kills at each level; `npm run kill` raises it. */
const KILLS = Number(process.env.FULMAR_KILLS ?? 12);
const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);
/** So many of them again on encrypted files, whose checkpoints are compressed. */
const ENCRYPTED_SHARE = 0.4;
/** What of them falls into which work. */
const SHARES: readonly (readonly [Moment, number])[] = [
  ["write", 0.4],
  ["checkpoint", 0.2],
  ["open", 0.2],
  ["backup", 0.2],
];
/** Entries that nothing changes, so that checkpoint, opening and backup take their time. */
const FILLER = 4000;

/** Of an encrypted store. */
const KEY = new Uint8Array(32).fill(7);

async function newScene(durability: string, moment: Moment, encrypted: boolean): Promise<Scene> {
  const root = await temporaryDirectory();
  const random = new Prng(`${SEED}:${durability}:${moment}`);
  const key = encrypted ? KEY : undefined;
  const [directory, backups] = [join(root, "data"), join(root, "backups")];
  await mkdir(backups);
  if (moment !== "write") {
    await using db = await open<string>(directory, { durability: "relaxed", ...withKey(key) });
    const value = "y".repeat(500);
    const entries = Array.from(
      { length: FILLER },
      (_, i) => ({ type: "set", key: ["fill", i], value }) as const,
    );
    await db.batch(entries);
  }
  return { directory, backups, durability, key, oracle: new Oracle(), random, lastMs: new Map() };
}

/** Opens what a kill left, checks all of it, closes, and looks at the files. */
async function check(scene: Scene, filler: number): Promise<void> {
  await checkStore(scene, filler);
  await checkFiles(scene.directory, scene.key);
}

async function checkStore({ directory, oracle, key }: Scene, filler: number): Promise<void> {
  await using db = await open<unknown>(directory, { historyBytes: 0, ...withKey(key) });
  oracle.checkAcknowledged(db);
  checkWhole(db);
  oracle.learn(db);
  expect(db.count({ prefix: ["fill"] })).toBe(filler);
}

async function killIn(scene: Scene, moment: Moment): Promise<void> {
  const { random, backups, key } = scene;
  if (moment === "write") {
    await killWhileWriting(scene, 1 + random.below(random.below(10) === 0 ? 3000 : 200));
    return check(scene, 0);
  }
  // A log to replay; what this kill may have broken shows after the next one.
  if (moment === "open") await killWhileWriting(scene, 1 + random.below(300));
  await killDuring(scene, moment, async ({ finished }) => {
    await check(scene, FILLER);
    await checkBackups(backups, finished, key);
  });
}

describe.each([
  ["full", "plain"],
  ["relaxed", "plain"],
  ["full", "encrypted"],
] as const)("SIGKILL, durability %s, files %s", (durability, files) => {
  const encrypted = files === "encrypted";
  for (const [moment, share] of SHARES) {
    const kills = Math.round(KILLS * share * (encrypted ? ENCRYPTED_SHARE : 1));
    const row = moment === "backup" || moment === "checkpoint" ? "T-SNAP-05" : "T-DUR-02";
    const title = `after each of ${kills} kills during ${moment} all that was acknowledged is there, nothing by half`;
    test(`${row}: ${title} (seed ${SEED})`, async () => {
      const scene = await newScene(durability, moment, encrypted);
      for (let kill = 0; kill < kills; kill++) await killIn(scene, moment);
      if (moment !== "backup") return;
      // What the kills left over is gone after the next backup.
      const db = await open(scene.directory, { historyBytes: 0, ...withKey(scene.key) });
      const { path } = await db.backup(scene.backups);
      await db.close();
      expect(await readdir(scene.backups)).toEqual([path.slice(scene.backups.length + 1)]);
    }, 1_800_000);
  }
});
