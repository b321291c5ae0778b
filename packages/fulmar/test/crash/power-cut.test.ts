import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { open, verify } from "../../src/index.js";
import { Prng } from "../../src/testing/simulated/prng.js";
import { temporaryDirectory } from "../store/fixture.js";
import { checkFiles, checkWhole, Oracle } from "./kill/oracle.js";
import { mounted, unmount, whyNoMount } from "./real/mount.js";

/** Raise it for a long run. */
const CUTS = Number(process.env.FULMAR_POWER_CUTS ?? 6);
const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);
const WRITER = fileURLToPath(new URL("./kill/writer.mjs", import.meta.url));
const IMAGE_BYTES = 24 * 1024 * 1024;
/** So many copies may be spoilt by writes of the disk before the writing process is held. */
const HASTY_COPIES = 30;

async function newImage(path: string): Promise<void> {
  await writeFile(path, "");
  await truncate(path, IMAGE_BYTES);
  const now = "lazy_itable_init=0,lazy_journal_init=0";
  execFileSync("mkfs.ext4", ["-q", "-F", "-J", "size=4", "-E", now, path]);
}

async function whyNoImages(): Promise<string | undefined> {
  const path = join(await temporaryDirectory(), "image");
  try {
    await newImage(path);
  } catch (error) {
    return `cannot make a file system in a file: ${String(error)}`;
  }
  return whyNoMount("-o", "loop", path);
}

/**
 * What a disk holds whose power is cut now: every write that it was given and nothing of what waits in memory.
 * Undefined when writes completed beside the copy, for then it is no one moment's.
 */
function diskNow(image: string, device: string): Buffer | undefined {
  const completed = (): string => {
    const numbers = readFileSync(`/sys/block/${device}/stat`, "utf8").trim().split(/\s+/);
    return [numbers[4], numbers[11], numbers[15]].join();
  };
  const before = completed();
  const bytes = readFileSync(image);
  return completed() === before ? bytes : undefined;
}

/** Lets a process write until it acknowledged so many commits, and returns the disk of some moment after that. */
async function writeAndCut(root: string, image: string, oracle: Oracle, commits: number): Promise<Buffer> {
  const device = execFileSync("findmnt", ["-n", "-o", "SOURCE", "--mountpoint", root], { encoding: "utf8" });
  const name = device.trim().slice("/dev/".length);
  const child = fork(WRITER, [join(root, "data"), "full", String(oracle.next), "write", ""]);
  const ended = Promise.all([once(child, "exit"), once(child, "disconnect")]);
  let left = commits;
  let disk: Buffer | undefined;
  child.on("message", (message: string | { lane: number; n: number } | { begins: string }) => {
    // What is acknowledged after the moment of the copy need not be in it.
    if (disk !== undefined || typeof message === "string" || !("lane" in message)) return;
    oracle.acknowledge(message.lane, message.n);
    if (--left > 0) return;
    disk = diskNow(image, name);
    if (disk === undefined && left < -HASTY_COPIES) {
      child.kill("SIGSTOP");
      while (disk === undefined) disk = diskNow(image, name);
    }
    if (disk !== undefined) child.kill("SIGKILL");
  });
  const [exit] = await ended;
  expect(exit).toEqual([null, "SIGKILL"]);
  expect(disk).toBeDefined();
  return disk as Buffer;
}

async function checkAll(data: string, oracle: Oracle): Promise<void> {
  await using db = await open<unknown>(data, { historyBytes: 0 });
  oracle.checkAcknowledged(db);
  checkWhole(db);
  oracle.learn(db);
}

const reason = await whyNoImages();

test(`T-DUR-02: after each of ${CUTS} power cuts of a real file system all that was acknowledged is there, nothing \
by half (seed ${SEED})`, async ({ skip }) => {
  skip(reason !== undefined, reason);
  const random = new Prng(SEED);
  const oracle = new Oracle();
  const directory = await temporaryDirectory();
  let image = join(directory, "0");
  await newImage(image);
  let root = await mounted("-o", "loop", image);
  for (let cut = 1; cut <= CUTS; cut++) {
    const disk = await writeAndCut(root, image, oracle, 1 + random.below(300));
    await unmount(root);
    // The next life goes on from what the cut left.
    image = join(directory, String(cut));
    await writeFile(image, disk);
    root = await mounted("-o", "loop", image);
    const data = join(root, "data");
    expect(await verify(data)).toMatchObject({ ok: true });
    await checkAll(data, oracle);
    await checkFiles(data);
  }
}, 1_800_000);
