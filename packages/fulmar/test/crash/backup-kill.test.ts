import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { open, restore, verify } from "../../src/index.js";
import { Prng } from "../../src/testing/simulated/prng.js";
import { temporaryDirectory } from "../store/fixture.js";

/** Raise it for a long run, as for the kills of writers. */
const KILLS = Math.ceil(Number(process.env.FULMAR_KILLS ?? 25) / 3);
const WRITER = fileURLToPath(new URL("./backup-writer.mjs", import.meta.url));
const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);

/** Lets a process make `count` backups, and kills it so many ms into the next one. */
async function backUpAndKill(
  directory: string,
  backups: string,
  count: number,
  delayMs: number,
): Promise<Map<string, number>> {
  const done = new Map<string, number>();
  const child = fork(WRITER, [directory, backups], { stdio: "inherit" });
  const exited = once(child, "exit");
  child.on("message", (message: "ready" | { path: string; before: number }) => {
    if (message !== "ready") done.set(message.path, message.before);
    if (done.size === count) setTimeout(() => child.kill("SIGKILL"), delayMs);
  });
  expect(await exited).toEqual([null, "SIGKILL"]);
  return done;
}

test(`T-SNAP-05: after each of ${KILLS} kills every backup that has its name is whole (seed ${SEED})`, async () => {
  const random = new Prng(SEED);
  const root = await temporaryDirectory();
  const [directory, backups] = [join(root, "data"), join(root, "backups")];
  await mkdir(backups);
  for (let kill = 0; kill < KILLS; kill++) {
    const done = await backUpAndKill(directory, backups, 1 + random.below(2), random.below(40));
    const names = await readdir(backups);
    expect(names.filter((name) => name.endsWith(".tmp")).length).toBeLessThanOrEqual(1);
    for (const name of names.filter((found) => found.endsWith(".backup"))) {
      const path = join(backups, name);
      expect(await verify(path), name).toMatchObject({ ok: true });
      await restore(path, join(root, "restored"));
      const db = await open<number>(join(root, "restored"));
      expect(db.get("left"), name).toBe(db.get("right"));
      expect(db.get("left") ?? 0, name).toBeGreaterThanOrEqual(done.get(path) ?? 0);
      await db.close();
      for (const made of [path, join(root, "restored")]) await rm(made, { recursive: true });
    }
    for (const path of done.keys()) expect(names).toContain(path.slice(backups.length + 1));
  }
  // What the kills left over is gone after the next backup.
  const db = await open(directory);
  const { path } = await db.backup(backups);
  await db.close();
  expect(await readdir(backups)).toEqual([path.slice(backups.length + 1)]);
}, 600_000);
