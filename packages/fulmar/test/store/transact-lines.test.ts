import { describe, expect, it } from "vitest";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open, type Transaction } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** No attempt takes any time, however slow the machine is. */
function timeless(): { runtime: Runtime } {
  const runtime = nodeRuntime();
  return { runtime: { ...runtime, clock: { ...runtime.clock, monotonicMs: () => 0 } } };
}

describe("transactions that meet at keys", () => {
  /** Adds one to two counters, with turns of the event loop in between. */
  const adding =
    (first: string, second: string, turns: number, attempted: () => void) =>
    async (tx: Transaction<number>): Promise<void> => {
      attempted();
      const [a, b] = [tx.get(first) ?? 0, tx.get(second) ?? 0];
      for (let i = 0; i < turns; i++) await turn();
      tx.set(first, a + 1);
      tx.set(second, b + 1);
    };

  it("all commit in two attempts or so with the retries that there are unless set", async () => {
    await using db = await open<number>(undefined, timeless());
    let attempts = 0;
    const update = (index: number): Promise<void> => {
      const pair = 2 * (index % 5);
      return db.transact(adding(`key ${pair}`, `key ${pair + 1}`, 1, () => attempts++));
    };
    // One begins where one ends, so that there are always newcomers beside those in line.
    const loop = async (index: number): Promise<void> => {
      for (let i = 0; i < 20; i++) await update(index);
    };
    await Promise.all(Array.from({ length: 100 }, (_, index) => loop(index)));
    expect([...db.values()]).toEqual(Array.from({ length: 10 }, () => 400));
    expect(attempts).toBeLessThan(2.5 * 2000);
  });

  it("get through beside others that wait for nothing and never end", async () => {
    await using db = await open<number>(undefined, timeless());
    let isDone = false;
    const others = async (): Promise<void> => {
      while (!isDone) {
        await db.transact((tx) => void tx.set("a", (tx.get("a") ?? 0) + 1));
        await turn();
      }
    };
    const running = [others(), others(), others()];
    let attempts = 0;
    await db.transact(adding("a", "b", 5, () => attempts++)).finally(() => {
      isDone = true;
    });
    await Promise.all(running);
    expect([attempts, db.get("b")]).toEqual([2, 1]);
  });

  it("get through beside others that stand in lines of other keys and overwrite this one unread", async () => {
    await using db = await open<number>(undefined, timeless());
    let isDone = false;
    const others = async (): Promise<void> => {
      while (!isDone) {
        await db.transact(async (tx) => {
          const before = tx.get("a") ?? 0;
          await turn();
          tx.set("a", before + 1);
          tx.set("b", before);
        });
      }
    };
    const running = Array.from({ length: 10 }, () => others());
    const slow = db.transact(adding("b", "c", 5, () => undefined)).finally(() => {
      isDone = true;
    });
    await Promise.all([slow, ...running]);
    expect(db.get("c")).toBe(1);
  });

  it("all get through where they meet at another key each time, as workers at a queue do", async () => {
    await using db = await open<number>(undefined, timeless());
    await db.batch(
      Array.from({ length: 600 }, (_, value) => ({ type: "set", key: ["queue", value], value })),
    );
    const taken: number[] = [];
    const takeOne = (): Promise<boolean> =>
      db.transact(async (tx) => {
        const [first] = tx.list({ prefix: ["queue"], limit: 1 });
        if (first === undefined) return false;
        await turn();
        tx.delete(first.key);
        tx.set("last", first.value);
        return true;
      });
    const worker = async (): Promise<void> => {
      while (await takeOne()) taken.push(db.get("last") ?? -1);
    };
    await Promise.all(Array.from({ length: 10 }, worker));
    expect([taken.length, db.count({ prefix: ["queue"] })]).toEqual([600, 0]);
  });

  it("let the event loop turn between attempts that are lost again", async () => {
    await using db = await open<number>();
    let [attempts, turns, isDone] = [0, 0, false];
    const count = (): void => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    const own = db.transact((tx) => {
      attempts++;
      tx.set("b", tx.get("a") ?? 0);
      // Beside its `tx`: so it loses to itself.
      void db.set("a", attempts);
    });
    await expect(own).rejects.toMatchObject({ code: "CONFLICT", details: { attempts: 21 } });
    isDone = true;
    expect([attempts, turns >= 19]).toEqual([21, true]);
  });

  it("give way to nobody in their last attempt", async () => {
    await using db = await open<number>();
    const release: (() => void)[] = [];
    let attempts = 0;
    const slow = db.transact(async (tx) => {
      attempts++;
      const before = tx.get("a") ?? 0;
      await new Promise<void>((resolve) => release.push(resolve));
      tx.set("a", before + 1);
    });
    await db.set("a", 10);
    release.pop()?.();
    while (release.length === 0) await turn();
    await db.transact((tx) => void tx.set("a", (tx.get("a") ?? 0) + 10), { retries: 0 });
    release.pop()?.();
    while (release.length === 0) await turn();
    release.pop()?.();
    await slow;
    expect([db.get("a"), attempts]).toEqual([21, 3]);
  });
});

describe("transactions on one key", () => {
  it("all commit, however many there are at once", async () => {
    await using db = await open<number>(undefined, timeless());
    let attempts = 0;
    const count = async (tx: Transaction<number>): Promise<void> => {
      attempts++;
      const before = tx.get("counter") ?? 0;
      await turn();
      tx.set("counter", before + 1);
    };
    await Promise.all(Array.from({ length: 400 }, () => db.transact(count)));
    expect(db.get("counter")).toBe(400);
    // The first together, and then one by one.
    expect(attempts).toBeLessThan(400 * 2.5);
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
