import { open } from "fulmar";

// Without a directory the store lives in memory only.
const db = await open();

await db.batch([
  { type: "set", key: ["order", "ada", 9], value: { total: 40 } },
  { type: "set", key: ["order", "ada", 10], value: { total: 15 } },
  { type: "set", key: ["order", "grace", 1], value: { total: 99 } },
]);

// 9 comes before 10: numbers are ordered as numbers.
for (const { key, value } of db.list({ prefix: ["order", "ada"] })) console.log(key.join("/"), value.total);

const latest = [...db.list({ prefix: ["order", "ada"], reverse: true, limit: 1 })];
console.log("latest order of ada:", latest[0].key.at(-1));
console.log("orders from 5 on:", db.count({ gte: ["order", "ada", 5], lt: ["order", "ada", 1000] }));

const seen = new Promise((resolve) => {
  const watcher = db.watch({ prefix: ["order"] }, (commit) => {
    watcher.close();
    resolve(commit.changes);
  });
});
await db.batch([
  { type: "delete", key: ["order", "ada", 10] },
  { type: "set", key: ["order", "grace", 2], value: { total: 15 } },
]);
for (const change of await seen) console.log("in one commit:", change.type, change.key.join("/"));

await db.close();
