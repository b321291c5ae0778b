import { open } from "fulmar";

const directory = "data-quick-start";

const db = await open(directory);
await db.set("user:1", { name: "Ada" });
await db.set("user:2", { name: "Grace" });
await db.set("session:1", { user: "user:1" }, { ttl: 60_000 });
await db.set("visits", (db.get("visits") ?? 0) + 1);
await db.delete("user:2");

// Reads are synchronous: everything is in memory.
console.log("user:1 is", db.get("user:1"));
console.log("user:2 exists:", db.has("user:2"));
console.log("the session ends at", new Date(db.entry("session:1").expiresAt).toISOString());
await db.close();

// Every write above was on stable storage before its promise resolved.
const again = await open(directory);
for (const { key, value } of again.list()) console.log(key, "=", value);
await again.close();
