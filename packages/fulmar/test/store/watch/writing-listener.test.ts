import { expect, test } from "vitest";
import { machine, openOn, take } from "./support.js";

test("what a listener writes while a checkpoint begins another segment is in the log", async () => {
  const storage = machine();
  const db = await openOn(storage);
  for (let i = 0; i < 8; i++) await db.set(["fill", i], "x".repeat(3000));
  const version = db.version;
  // Else it would hold what the log does not.
  const times = Number.POSITIVE_INFINITY;
  storage.disk.faults.add({ operations: ["open"], path: "/data/checkpoint/", code: "EIO", times });
  let answer: Promise<unknown> | undefined;
  db.watch("question", () => {
    answer = db.set("answer", "2");
  });
  const checkpoint = db.checkpoint();
  // It waits for a segment that is prepared, and finds this in the group.
  await undefined;
  const question = db.set("question", "1", { durability: "relaxed" });
  await expect(checkpoint).rejects.toMatchObject({ code: "IO_ERROR" });
  await Promise.all([question, answer, db.set("last", "3")]);
  expect(db.status().log?.segments).toBe(2);
  storage.kill();
  storage.disk.faults.clear();
  await using again = await openOn(storage);
  expect(["question", "answer", "last"].map((key) => again.get(key))).toEqual(["1", "2", "3"]);
  const commits = await take(again.watch({}, { since: version }), 3);
  expect(commits.flatMap(({ changes }) => changes.map(({ key }) => key))).toEqual([
    "question",
    "answer",
    "last",
  ]);
});

test("a listener may write as many commits as are worth a sync while others are handed over for one", async () => {
  const storage = machine();
  const db = await openOn(storage);
  await db.set("first", "1");
  const done: Promise<unknown>[] = [];
  db.watch("question", () => {
    for (let i = 0; i < 100; i++) done.push(db.set(["answer", i], "2"));
  });
  // Shown as soon as it is written, which the others have happen in the middle of this turn.
  done.push(db.set("question", "1", { durability: "relaxed" }));
  for (let i = 0; i < 100; i++) done.push(db.set(["beside", i], "3"));
  await Promise.all(done);
  expect(done).toHaveLength(201);
  storage.kill();
  await using again = await openOn(storage);
  expect(again.count()).toBe(202);
});

test("what a listener writes is synced as it asks for, though what it was shown is due as well", async () => {
  const storage = machine();
  const db = await openOn(storage, { flushCommits: 2, durability: "relaxed" });
  await db.flush();
  const done: Promise<unknown>[] = [];
  db.watch("question", () => done.push(db.set("answer", "2", { durability: "full" })));
  // So many that they are due; and no time passes in which that would come by itself.
  await Promise.all([db.set("question", "1"), db.set("beside", "3")]);
  expect(done).toHaveLength(1);
  let isSynced = false;
  void done[0].then(() => {
    isSynced = true;
  });
  for (let i = 0; i < 20; i++) await storage.runtime.timers.turn();
  expect([isSynced, db.status().version.synced]).toEqual([true, db.version]);
  await db.close();
});
