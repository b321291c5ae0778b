import { expect, test } from "vitest";
import { open, type Store } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

const openOn = (storage: SimulatedStorage): Promise<Store<string>> =>
  open<string>("/data", { runtime: storage.restart(), codec: "text", segmentBytes: 65_536 });

test.each(["close", "kill", "power"] as const)(
  "T-REC-11: what the sweeper removed does not return after %s, though the clock was set back",
  async (end) => {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const db = await openOn(storage);
    await db.set("kept", "1");
    await db.checkpoint();
    await db.set("lease", "1", { ttl: 1000 });
    await db.set("deleted", "1");
    await db.delete("deleted");
    await storage.advance(5000);
    expect([db.status().entries, db.get("lease")]).toEqual([1, undefined]);
    await db.flush();
    if (end === "close") await db.close();
    else if (end === "kill") storage.kill();
    else storage.powerCut();
    storage.clock.jump(-60_000);
    for (let life = 0; life < 2; life++) {
      const again = await openOn(storage);
      expect([...again.list()].map(({ key }) => key)).toEqual(["kept"]);
      expect(again.status().entries).toBe(1);
      if (life === 0) await again.checkpoint();
      await again.close();
    }
  },
);

test.each(["close", "kill", "power"] as const)(
  "a clock that showed the year 2106 for a while leaves a store that opens after %s, its deadlines untouched",
  async (end) => {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const db = await openOn(storage);
    await db.set("before", "1", { ttl: 60_000 });
    const aheadMs = Date.UTC(2106, 1, 7) - storage.clock.wallMs();
    storage.clock.jump(aheadMs);
    await db.set("meanwhile", "1", { ttl: 60_000 });
    await db.checkpoint();
    await db.set("later", "1");
    expect([...db.keys()]).toEqual(["before", "later", "meanwhile"]);
    if (end === "close") await db.close();
    else if (end === "kill") storage.kill();
    else storage.powerCut();
    storage.clock.jump(-aheadMs);
    const again = await openOn(storage);
    expect([...again.keys()]).toEqual(["before", "later", "meanwhile"]);
    await again.checkpoint();
    await storage.advance(120_000);
    expect([...again.keys()]).toEqual(["later"]);
    await again.close();
  },
);
