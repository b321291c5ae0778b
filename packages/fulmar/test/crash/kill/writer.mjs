/**
 * The process that gets killed. Writes numbered commits of keys that always change together, tells its parent
 * which are acknowledged, and when what it is to be killed in begins and ends. Arguments: data directory,
 * durability, first number, moment, directory of backups, and for an encrypted store its key in hexadecimal.
 */
import { open } from "fulmar";

const [directory, durability, first, moment, backups, key = ""] = process.argv.slice(2);

/** So many commits are under way at once. */
const LANES = 4;

process.on("disconnect", () => process.exit(0));

async function during(name, work) {
  process.send({ begins: name });
  const result = await work();
  process.send({ ends: name });
  return result;
}

// Checkpoints by policy would hide the ones that are to be killed.
const everyBytes = moment === "write" ? 100_000 : 1_000_000_000;
const compression = moment === "checkpoint" ? "deflate" : "none";
const options =
  key === "" ? {} : { encryption: { key: Buffer.from(key, "hex"), refusePlain: true }, compression };
const db = await during("open", () =>
  open(directory, {
    ...options,
    durability,
    segmentBytes: 65_536,
    historyBytes: 0,
    checkpoint: { everyBytes },
  }),
);

let number = Number(first);
async function write(lane) {
  for (;;) {
    const n = number++;
    await db.batch([
      { type: "set", key: ["left", lane], value: n },
      { type: "set", key: ["right", lane], value: n },
      { type: "set", key: ["all", n], value: "x".repeat(n % 300) },
      { type: "delete", key: ["all", n - 500] },
    ]);
    process.send({ lane, n });
    await refused(n);
  }
}

/** A commit that a condition refuses, with a part that would have been right. */
async function refused(n) {
  const commit = db.atomic().check({ key: "nowhere", version: 1 }).set(["refused", n], n);
  const { ok } = await commit.commit();
  if (ok) throw new Error("a commit on an entry that is not there was not refused");
}

for (let lane = 0; lane < LANES; lane++) void write(lane);
process.send("ready");
if (moment === "checkpoint") for (;;) await during("checkpoint", () => db.checkpoint());
if (moment === "backup") {
  for (;;) {
    const before = db.version;
    const { path } = await during("backup", () => db.backup(backups));
    process.send({ path, before });
  }
}
