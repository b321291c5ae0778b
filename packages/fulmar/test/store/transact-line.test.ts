import { describe, expect, it } from "vitest";
import { open, type Transaction } from "../../src/index.js";
import { Line } from "../../src/store/line.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a line", () => {
  it("lets one after the other have its turn, whoever leaves", async () => {
    const line = new Line();
    const places = Array.from({ length: 4 }, () => line.join());
    const turns: number[] = [];
    for (const [index, place] of places.entries()) void place.turn.then(() => turns.push(index));
    await turn();
    expect(turns).toEqual([0]);
    places[1].leave();
    await turn();
    expect(turns).toEqual([0]);
    places[0].leave();
    places[0].leave();
    await turn();
    expect(turns).toEqual([0, 2]);
    places[2].leave();
    places[3].leave();
    await turn();
    expect(turns).toEqual([0, 2, 3]);
    void line.join().turn.then(() => turns.push(4));
    await turn();
    expect(turns).toEqual([0, 2, 3, 4]);
  });
});

describe("transactions on one key", () => {
  it("all commit, however many there are at once", async () => {
    await using db = await open<number>();
    let attempts = 0;
    const count = async (tx: Transaction<number>): Promise<void> => {
      attempts++;
      const before = tx.get("counter") ?? 0;
      await turn();
      tx.set("counter", before + 1);
    };
    await Promise.all(Array.from({ length: 400 }, () => db.transact(count)));
    expect(db.get("counter")).toBe(400);
    // Four each of which one in a round succeeds, and then one by one.
    expect(attempts).toBeLessThan(400 * 6);
    expect(db.status().memory.oldVersions).toBe(0);
  });

  it("go on when one waits in its function for another that stands behind it", async () => {
    const storage = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
    const db = await open<number>("/data", { runtime: storage.runtime, durability: "memory" });
    /** Loses five times and more: then it stands in line. */
    const losing =
      (key: string, then: () => Promise<unknown>) =>
      async (tx: Transaction<number>): Promise<void> => {
        const before = tx.get(key) ?? 0;
        if (before < 5) await db.increment(key);
        else await undefined;
        if (before === 5) await then();
        tx.set(`${key} after`, before);
      };
    const inner = (): Promise<void> => db.transact(losing("inner", async () => undefined));
    const outer = db.transact(losing("outer", inner));
    let isDone = false;
    outer.then(
      () => {
        isDone = true;
      },
      () => undefined,
    );
    for (let i = 0; i < 80 && !isDone; i++) await storage.advance(100);
    await outer;
    expect([db.get("outer after"), db.get("inner after")]).toEqual([5, 5]);
    await db.close();
  });
});
