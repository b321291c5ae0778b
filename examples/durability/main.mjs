import { open } from "fulmar";

const db = await open("data-durability");

function report(what) {
  const { applied, synced } = db.status().version;
  console.log(`${what}: version ${applied} applied, ${synced} synced`);
}

// A thousand writes that need not wait for the disk.
const writes = [];
for (let count = 0; count < 1000; count += 1) {
  writes.push(db.set(["measurement", count], count * count, { durability: "relaxed" }));
}
await Promise.all(writes);
report("after 1000 relaxed writes");

// One that must survive a power cut. It waits for all earlier ones too, so there is never a hole.
const { version } = await db.set("ready", true, { durability: "full" });
report("after a full write");
if (db.status().version.synced < version)
  throw new Error("a full write was acknowledged before it was synced");

await db.set("note", "soon", { durability: "relaxed" });
await db.flush();
report("after a flush");

await db.close();
