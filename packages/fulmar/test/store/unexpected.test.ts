import { describe, expect, test } from "vitest";
import { open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { scarcity } from "../memory/scarce.js";

const KEY = new Uint8Array(32).fill(7);
const FAILED = { code: "STORE_FAILED" };

/** A machine whose sealing throws, as a bug would, once `isBroken`. */
function machine(): { storage: SimulatedStorage; break(after: number): void } {
  let left = Number.POSITIVE_INFINITY;
  const cryptography: typeof nodeCryptography = {
    ...nodeCryptography,
    sealInPlace(key, nonce, bytes, associated) {
      if (left-- <= 0) throw new RangeError("a bug");
      nodeCryptography.sealInPlace(key, nonce, bytes, associated);
    },
  };
  const storage = simulatedStorage({ seed: 1, cryptography });
  return { storage, break: (after) => (left = after) };
}

function openOn(storage: SimulatedStorage): Promise<Store<string>> {
  const { runtime } = storage;
  return open<string>("/data", { codec: "text", runtime, encryption: { key: KEY }, segmentBytes: 65_536 });
}

async function expectFailed(db: Store<string>, storage: SimulatedStorage): Promise<void> {
  expect(db.status().state).toBe("failed");
  for (const durability of ["memory", "relaxed", "full"] as const) {
    await expect(db.set("later", "1", { durability })).rejects.toMatchObject(FAILED);
  }
  await expect(db.flush()).rejects.toMatchObject(FAILED);
  expect(db.get("saved")).toBe("1");
  await expect(db.close()).rejects.toMatchObject(FAILED);
  const { runtime } = storage;
  const again = await open<string>("/data", { codec: "text", runtime, encryption: { key: KEY } });
  expect(again.get("saved")).toBe("1");
  expect(again.get("later")).toBeUndefined();
  await again.close();
}

describe("an exception that nobody expects, out of sealing", () => {
  test("a commit refuses it, those that wait for the same write, and all later ones", async () => {
    const { storage, break: breakAfter } = machine();
    const db = await openOn(storage);
    await db.set("saved", "1");
    breakAfter(2);
    const writes = [1, 2, 3].map((i) => db.set(`key ${i}`, "1"));
    const outcomes = await Promise.allSettled(writes);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    for (const write of writes) await expect(write).rejects.toMatchObject(FAILED);
    breakAfter(Number.POSITIVE_INFINITY);
    await expectFailed(db, storage);
  });

  test("the next segment refuses what waits for a sync of this one", async () => {
    const { storage, break: breakAfter } = machine();
    const db = await openOn(storage);
    await db.set("saved", "1");
    for (let i = 0; i < 5; i++) await db.set(["fill", i], "x".repeat(10_000));
    for (let i = 0; i < 50; i++) await storage.runtime.timers.turn();
    breakAfter(1);
    const writes: Promise<unknown>[] = [db.set("small", "1")];
    // Handed over and being synced when the next one finds no room.
    await storage.runtime.timers.turn();
    writes.push(db.set("large", "y".repeat(15_000)), db.set("large", "z".repeat(15_000)));
    const outcomes = await Promise.allSettled(writes);
    expect(outcomes.slice(1).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    for (const write of writes.slice(1)) await expect(write).rejects.toMatchObject(FAILED);
    breakAfter(Number.POSITIVE_INFINITY);
    await expectFailed(db, storage);
  });

  test("the segment for a checkpoint refuses the checkpoint and whatever waits", async () => {
    const { storage, break: breakAfter } = machine();
    const db = await openOn(storage);
    await db.set("saved", "1");
    await db.set("fill", "x".repeat(10_000));
    breakAfter(0);
    const checkpoint = db.checkpoint();
    await expect(checkpoint).rejects.toBeDefined();
    breakAfter(Number.POSITIVE_INFINITY);
    await expectFailed(db, storage);
  });
});

describe("no memory for a batch", () => {
  test("nothing of it is seen, and all else is, whichever allocation is the first that fails", async () => {
    let failures = 0;
    for (let granted = 0; ; granted += granted < 16 ? 1 : 25) {
      const db = await open<string>(undefined, { codec: "text" });
      await db.batch(
        Array.from({ length: 3000 }, (_, i) => ({ type: "set", key: `old ${i}`, value: `${i}` })),
      );
      const writes = Array.from({ length: 10_000 }, (_, i) => {
        const key = i % 5 === 0 ? `old ${i / 5}` : `new ${i}`;
        return { type: "set", key, value: "x", ...(i % 3 === 0 ? { ttl: 60_000 } : {}) } as const;
      });
      const scarce = scarcity(granted);
      const error: unknown = await db.batch(writes).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      scarce.end();
      if (error === undefined) break;
      failures++;
      expect(error).toMatchObject({ name: "RangeError", message: "Array buffer allocation failed" });
      expect(db.status().state).toBe("open");
      for (let i = 0; i < 3000; i++)
        if (db.get(`old ${i}`) !== `${i}`) expect.fail(`old ${i} after ${granted}`);
      const isSeen = writes.find(({ key }) => key.startsWith("new") && db.has(key));
      if (isSeen !== undefined) expect.fail(`${isSeen.key} after ${granted}`);
      const listed = [...db.list()];
      expect(listed).toHaveLength(3000);
      expect(listed.every(({ key, value }) => key === `old ${value}`)).toBe(true);
      portOf(db).verify();
      await db.batch(writes);
      expect(db.count()).toBe(11_000);
      await db.close();
    }
    expect(failures).toBeGreaterThan(5);
  });
});
