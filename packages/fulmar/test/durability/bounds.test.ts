import { expect, test } from "vitest";
import { open } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { filesOf, MiniStore, machine, ROOT } from "./harness.js";

test("I5: steady overwriting keeps the directory within a bound, and nothing is left over at its end", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const [segmentBytes, everyBytes] = [65_536, 200_000];
  const db = await open<string>("/data", {
    runtime: storage.runtime,
    codec: "text",
    segmentBytes,
    checkpoint: { everyBytes },
    historyBytes: 0,
  });
  let [bytesMost, filesMost, written] = [0, 0, 0];
  for (let i = 0; i < 1500; i++) {
    await db.set(["k", i % 20], `${i}`.padEnd(2000, "x"));
    written += 2000;
    for (let turns = i % 3; turns > 0; turns--) await storage.runtime.timers.turn();
    if (i % 10 > 0) continue;
    const files = [...storage.disk.image().values()];
    filesMost = Math.max(filesMost, files.length);
    bytesMost = Math.max(
      bytesMost,
      files.reduce((sum, bytes) => sum + bytes.length, 0),
    );
  }
  // The live log, the segments that it let go and made ready, two checkpoints of 40 kB, the manifest.
  expect(bytesMost).toBeLessThan(2 * everyBytes + 4 * segmentBytes);
  expect(written).toBeGreaterThan(4 * bytesMost);
  expect(filesMost).toBeLessThan(16);
  await db.checkpoint();
  await db.close();
  const names = [...storage.disk.image().keys()].filter((path) => !path.endsWith("LOCK"));
  expect(names).toHaveLength(3);
});

test("I5: a segment whose name cannot be made durable is not left over, however often that is tried", async () => {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime);
  storage.disk.faults.add({ operations: ["syncDirectory"], path: `${ROOT}/log`, code: "EIO", times: 50 });
  for (let i = 0; i < 20; i++) {
    await store.save("k", "x".repeat(3000));
    await storage.advance(1100);
  }
  expect(filesOf(storage, "/log/").length).toBe(1);
  storage.disk.faults.clear();
  for (let i = 0; i < 4; i++) {
    await store.save("k", "y".repeat(3000));
    await storage.advance(1100);
  }
  expect(store.directory.status().segments).toBeGreaterThan(1);
  await store.close();
});
