import { expect, test } from "vitest";
import { machine, openOn } from "./support.js";

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
