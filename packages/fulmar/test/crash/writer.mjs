/**
 * The process that gets killed. Writes numbered commits of two keys that always change together, and
 * tells its parent which are acknowledged. Arguments: directory, durability, first number.
 */
import { open } from "fulmar";

const [directory, durability, first] = process.argv.slice(2);

const db = await open(directory, { durability, segmentBytes: 65_536, checkpoint: { everyBytes: 100_000 } });
process.on("disconnect", () => process.exit(0));

let number = Number(first);
async function writer(lane) {
  for (;;) {
    const n = number++;
    await db.batch([
      { type: "set", key: ["left", lane], value: n },
      { type: "set", key: ["right", lane], value: n },
      { type: "set", key: ["all", n], value: "x".repeat(n % 300) },
      { type: "delete", key: ["all", n - 500] },
    ]);
    process.send({ lane, n });
  }
}
process.send("ready");
await Promise.all([0, 1, 2, 3].map(writer));
