import { describe, expect, it } from "vitest";
import { open, type Store, type Transaction } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { interleaved } from "./interleaved.js";

type Body = (tx: Transaction<number>) => void;

/** How often a transaction has to run while something else happens between its snapshot and its commit. */
async function attempts(
  db: Store<number>,
  body: Body,
  meanwhile: () => Promise<unknown>,
  options: Parameters<Store["transact"]>[1] = {},
): Promise<number> {
  const run = await interleaved(db, body, meanwhile, options);
  await run.result;
  return run.attempts();
}

const reads: readonly [string, (tx: Transaction<number>) => boolean][] = [
  ["get", (tx) => tx.get("lease") !== undefined],
  ["has", (tx) => tx.has("lease")],
  ["a listing of nothing else", (tx) => tx.count({ prefix: "lease" }) === 1],
  ["a listing of more", (tx) => [...tx.keys({ prefix: "" })].includes("lease")],
  ["a listing backwards", (tx) => [...tx.keys({ prefix: "", reverse: true })].includes("lease")],
];

describe("a deadline that passed before the transaction began", () => {
  async function expired(): Promise<{ storage: SimulatedStorage; db: Store<number> }> {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const db = await open<number>("/data", { runtime: storage.restart() });
    await db.batch(["a", "b", "z"].map((key) => ({ type: "set", key, value: 1 }) as const));
    await db.set("lease", 1, { ttl: 1000 });
    storage.clock.jump(1000);
    return { storage, db };
  }

  it.each(reads)("is no conflict when it is logged meanwhile, read by %s", async (_, read) => {
    const { db } = await expired();
    const count = await attempts(
      db,
      (tx) => tx.set(["held"], read(tx) ? 1 : 0),
      async () => expect(db.sweep()).toBe(1),
    );
    expect([db.get(["held"]), count]).toEqual([0, 1]);
    await db.close();
  });

  it.each(reads)(
    "is one when somebody writes the key, before it is logged or after, read by %s",
    async (_, read) => {
      for (const isSwept of [false, true]) {
        const { db } = await expired();
        const count = await attempts(
          db,
          (tx) => tx.set(["held"], read(tx) ? 1 : 0),
          () => {
            if (isSwept) expect(db.sweep()).toBe(1);
            return db.set("lease", 2);
          },
        );
        expect([db.get(["held"]), count]).toEqual([1, 2]);
        await db.close();
      }
    },
  );
});

describe("a deadline that passes while the transaction runs", () => {
  it.each(reads)("is a conflict when it is logged, too, read by %s", async (_, read) => {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const db = await open<number>("/data", { runtime: storage.restart() });
    await db.set("a", 1);
    await db.set("lease", 1, { ttl: 1000 });
    const count = await attempts(
      db,
      (tx) => tx.set(["held"], read(tx) ? 1 : 0),
      async () => {
        storage.clock.jump(1000);
        expect(db.sweep()).toBe(1);
      },
    );
    expect([db.get(["held"]), count]).toEqual([0, 2]);
    await db.close();
  });

  it("is no write that a transaction of isolation `snapshot` loses to, but a write is that ended so", async () => {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const db = await open<number>("/data", { runtime: storage.restart() });
    for (const isWritten of [false, true]) {
      await db.set("lease", 1, { ttl: 1000 });
      const count = await attempts(
        db,
        (tx) => tx.set("lease", 2),
        async () => {
          if (isWritten) await db.set("lease", 3, { ttl: 1000 });
          storage.clock.jump(1000);
          expect(db.sweep()).toBe(1);
        },
        { isolation: "snapshot" },
      );
      expect([db.get("lease"), count]).toEqual([2, isWritten ? 2 : 1]);
    }
    await db.close();
  });
});

describe("a listing", () => {
  const all = { prefix: "k" };
  const list: Body = (tx) => tx.set("seen", [...tx.keys(all)].length);
  const backwards: Body = (tx) => tx.set("seen", [...tx.keys({ ...all, reverse: true })].length);
  const first: Body = (tx) => tx.set("seen", [...tx.keys({ ...all, limit: 1 })].length);
  const both = (one: Body, two: Body): Body => {
    return (tx) => {
      one(tx);
      two(tx);
    };
  };
  const set: Body = (tx) => tx.set("k2", 20);
  const remove: Body = (tx) => tx.delete("k2");
  const raise: Body = (tx) => tx.increment("k2", 5);

  async function run(body: Body, key: string, before: readonly string[]): Promise<number> {
    await using db = await open<number>();
    await db.batch(before.map((k) => ({ type: "set", key: k, value: 1 }) as const));
    return await attempts(db, body, () => db.set(key, 2));
  }

  it.each([
    ["a key that it set", both(set, list)],
    ["a key that it deleted", both(remove, list)],
    ["a key that it set, backwards", both(set, backwards)],
    ["a key that it set, and ended there", both(set, first)],
    ["a key that it set and raised", both(both(set, raise), list)],
  ])("does not read what the transaction hides: %s", async (_, body) => {
    expect(await run(body, "k2", ["k2", "k4"])).toBe(1);
    expect(await run(body, "k2", ["k4"])).toBe(1);
    // Nor when there is more to look at than commits since.
    expect(
      await run(
        body,
        "k2",
        Array.from({ length: 20 }, (__, i) => `k${i + 2}`),
      ),
    ).toBe(1);
  });

  it.each([
    ["before it set the key", both(list, set)],
    ["of a key that it raises", both(raise, list)],
    ["of a key that it read as well", both((tx) => void tx.get("k2"), both(set, list))],
    [
      "again after it took its write back",
      (tx: Transaction<number>) => {
        const savepoint = tx.savepoint();
        both(set, list)(tx);
        tx.rollbackTo(savepoint);
        list(tx);
      },
    ],
  ])("reads what is stored %s", async (_, body) => {
    expect(await run(body, "k2", ["k2", "k4"])).toBe(2);
    expect(await run(body, "k2", ["k4"])).toBe(2);
  });

  it.each(["k1", "k20", "k3"])("reads what lies beside a key that it hides: %s", async (key) => {
    expect(await run(both(set, list), key, ["k2", "k4"])).toBe(2);
    expect(await run(both(remove, list), key, ["k2", "k4"])).toBe(2);
    expect(await run(both(set, backwards), key, ["k2", "k4"])).toBe(2);
  });
});
