import { open, restore, verify } from "fulmar";

const db = await open("data-backup");
for (let day = 1; day <= 31; day += 1) await db.set(["january", day], { visitors: day * 100 });

// A state of one moment, beside the writes. The file appears when it is complete and checked.
const backup = db.backup("january.backup");
await db.set(["february", 1], { visitors: 1 });
const { path, version, entries } = await backup;
console.log(`${path}: ${entries} entries of version ${version}`);

// An accident.
for (const key of db.keys({ prefix: ["january"] })) await db.delete(key);
await db.close();

const { ok, findings } = await verify(path);
if (!ok) throw new Error(`the backup is damaged: ${JSON.stringify(findings)}`);
const { directory, incarnation } = await restore(path, "data-restored");
console.log(`${directory} is a store of its own: ${incarnation}`);

const again = await open("data-restored");
console.log(`${again.count({ prefix: ["january"] })} days are back`);
await again.close();
