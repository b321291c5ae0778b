import { expect, test } from "vitest";
import { open, type Store } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

const DISK_BYTES = 2 * 1024 * 1024;

function openOn(storage: SimulatedStorage): Promise<Store<string>> {
  const runtime = storage.restart();
  return open<string>("/data", { runtime, codec: "text", segmentBytes: 65_536 });
}

/** The code of what a write or checkpoint is refused with. */
function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "done",
    (error: { code: string }) => error.code,
  );
}

test("a disk that is full of history is written to again once there is a checkpoint", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography, quotaBytes: DISK_BYTES });
  const db = await openOn(storage);
  const taken = new Map<string, string>();
  const write = async (i: number): Promise<string> => {
    const [key, value] = [`key ${i % 10}`, String(i).padEnd(10_000, "x")];
    const code = await codeOf(db.set(key, value));
    if (code === "done") taken.set(key, value);
    return code;
  };
  let i = 0;
  for (let code = "done"; code === "done"; i++) {
    code = await write(i);
    if (i % 60 === 59) await db.checkpoint();
    expect(i, "the disk becomes full").toBeLessThan(600);
  }
  const before = db.status().history;
  expect(before.bytes).toBeGreaterThan(DISK_BYTES / 4);
  expect([await write(i), await codeOf(db.checkpoint()), await write(i)]).toEqual([
    "DISK_FULL",
    "done",
    "done",
  ]);
  const { history } = db.status();
  expect([history.bytes < before.bytes, history.oldest > before.oldest]).toEqual([true, true]);
  const resumed = db.watch({}, { since: before.oldest });
  await expect(resumed.next()).rejects.toMatchObject({ code: "COMPACTED" });
  for (let more = 0; more < 20; more++) expect(await write(i + more)).toBe("done");
  storage.kill();
  const again = await openOn(storage);
  expect(new Map([...again.list()].map(({ key, value }) => [key, value]))).toEqual(taken);
  await again.close();
});

test("a file of the history that cannot be removed does not keep the others", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const db = await openOn(storage);
  for (let i = 0; i < 30; i++) await db.set("k", String(i).padEnd(10_000, "x"));
  await db.checkpoint();
  const files = (): Promise<string[]> => storage.runtime.fileSystem.list("/data/log");
  const kept = await files();
  expect(kept.length).toBeGreaterThan(3);
  storage.disk.faults.add({ operations: ["write"], path: "/checkpoint/", code: "ENOSPC", times: 1 });
  storage.disk.faults.add({ operations: ["remove"], path: ".log", code: "EIO", times: 1 });
  expect(await codeOf(db.checkpoint())).toBe("done");
  expect(await files()).toEqual([kept[0], kept.at(-1)]);
  await db.close();
});

test("a checkpoint for which there is no room at all leaves the store as it was, but for its history", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const db = await openOn(storage);
  for (let i = 0; i < 30; i++) await db.set("k", String(i).padEnd(10_000, "x"));
  await db.checkpoint();
  expect(db.status().history.bytes).toBeGreaterThan(0);
  storage.disk.faults.add({ operations: ["write"], path: "/checkpoint/", code: "ENOSPC", times: 2 });
  expect(await codeOf(db.checkpoint())).toBe("DISK_FULL");
  const { history, state } = db.status();
  expect([state, history.oldest > 20, db.get("k")?.slice(0, 3)]).toEqual(["open", true, "29x"]);
  expect([await codeOf(db.checkpoint()), await codeOf(db.set("k", "30"))]).toEqual(["done", "done"]);
  await db.close();
});
