/**
 * The process that gets killed in its backups. Writes pairs that always change together and makes one backup
 * after the other. Arguments: data directory, directory of backups.
 */
import { open } from "fulmar";

const [directory, backups] = process.argv.slice(2);

const db = await open(directory, { durability: "relaxed" });
process.on("disconnect", () => process.exit(0));

let round = db.get("left") ?? 0;
async function write() {
  for (;;) {
    round++;
    await db.batch([
      { type: "set", key: "left", value: round },
      { type: "set", key: ["filler", round % 3000], value: "x".repeat(200) },
      { type: "set", key: "right", value: round },
    ]);
    if (round % 50 === 0) await new Promise(setImmediate);
  }
}
void write();
process.send("ready");
for (;;) {
  const before = round;
  const { path } = await db.backup(backups);
  process.send({ path, before });
}
