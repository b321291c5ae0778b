import { describe, expect, it } from "vitest";
import { ConflictError, open, type Transaction } from "../../src/index.js";
import { interleaved } from "./interleaved.js";

describe("what transactions conflict with", () => {
  it("no write skew: what was read and changed since is found at the commit", async () => {
    await using db = await open<number>();
    await db.batch([
      { type: "set", key: "x", value: 1 },
      { type: "set", key: "y", value: 1 },
    ]);
    const one = await interleaved(
      db,
      (tx) => {
        if ((tx.get("x") ?? 0) + (tx.get("y") ?? 0) === 2) tx.set("x", 0);
      },
      () =>
        db.transact((tx) => {
          if ((tx.get("x") ?? 0) + (tx.get("y") ?? 0) === 2) tx.set("y", 0);
        }),
    );
    await one.result;
    expect([db.get("x"), db.get("y"), one.attempts()]).toEqual([1, 0, 2]);
  });

  it("T-SSI-02: a key that was absent is read like any other", async () => {
    await using db = await open<number>();
    const one = await interleaved(
      db,
      (tx) => {
        if (!tx.has("b")) tx.set("a", 1);
      },
      () =>
        db.transact((tx) => {
          if (!tx.has("a")) tx.set("b", 1);
        }),
    );
    await one.result;
    expect([db.has("a"), db.has("b")]).toEqual([false, true]);
  });

  it("T-SSI-03: no phantom: a key deleted before the snapshot and written again since is found", async () => {
    await using db = await open<number>();
    await db.set("k1", 1);
    await db.delete("k1");
    const one = await interleaved(
      db,
      (tx) => {
        if (tx.count({ prefix: "k" }) === 0) tx.set("empty", 1);
      },
      () => db.set("k1", 2),
    );
    await one.result;
    expect(db.has("empty")).toBe(false);
    expect(one.attempts()).toBe(2);
  });

  it("T-SSI-04: nothing comes between the check and the commit", async () => {
    await using db = await open<number>();
    await db.set("n", 0);
    const raise = async (tx: Transaction<number>) => {
      const n = tx.get("n") ?? 0;
      await Promise.resolve();
      tx.set("n", n + 1);
    };
    await Promise.all(Array.from({ length: 50 }, () => db.transact(raise, { retries: 1000 })));
    expect(db.get("n")).toBe(50);
  });

  it("T-SSI-06: begins at one moment, so that a read does not change by repetition", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    const pending = db.transact(async (tx) => {
      const reads: (number | undefined)[] = [];
      for (let i = 0; i < 5; i++) {
        reads.push(tx.get("a"));
        await db.set("a", i + 2);
      }
      return reads;
    });
    expect(await pending).toEqual([1, 1, 1, 1, 1]);
  });

  it("only as far as a listing was consumed", async () => {
    await using db = await open<number>();
    for (const key of ["b", "d", "f"]) await db.set(key, 1);
    const firstKey = (reverse: boolean) => (tx: Transaction<number>) => {
      for (const key of tx.keys({ reverse })) {
        tx.set(["seen", key as string], 1);
        break;
      }
    };
    const attempts = async (reverse: boolean, write: () => Promise<unknown>) => {
      const run = await interleaved(db, firstKey(reverse), write);
      await run.result;
      return run.attempts();
    };
    const lists = { prefix: "" };
    expect(await attempts(false, () => db.set("c", 1))).toBe(1);
    expect(await attempts(false, () => db.set("a", 1))).toBe(2);
    expect([...db.keys(lists)]).toEqual(["a", "b", "c", "d", "f"]);
    const limited = await interleaved(
      db,
      (tx) => tx.set("n", [...tx.keys({ prefix: "", limit: 2 })].length),
      () => db.set("e", 1),
    );
    await limited.result;
    expect(limited.attempts()).toBe(1);
    const reversed = await interleaved(
      db,
      (tx) => tx.set("m", [...tx.keys({ prefix: "", limit: 1, reverse: true })].length),
      () => db.set("a", 2),
    );
    await reversed.result;
    expect(reversed.attempts()).toBe(1);
  });

  it("not with what is read without validation, nor with blind writes and increments", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    const run = await interleaved(
      db,
      (tx) => {
        tx.set("hint", tx.get("a", { conflict: false }) ?? 0);
        tx.set("hints", tx.count({ conflict: false }));
        tx.set("a", 10);
        tx.increment("n", 2);
      },
      async () => {
        await db.set("a", 5);
        await db.transact((tx) => tx.increment("n", 3));
      },
    );
    await run.result;
    expect(run.attempts()).toBe(1);
    expect([db.get("hint"), db.get("a"), db.get("n")]).toEqual([1, 10, 5]);
  });

  it("with snapshot isolation, only by writing the same key", async () => {
    await using db = await open<number>();
    await db.batch([
      { type: "set", key: "x", value: 1 },
      { type: "set", key: "y", value: 1 },
    ]);
    const options = { isolation: "snapshot", retries: 0 } as const;
    const skew = await interleaved(
      db,
      (tx) => tx.set("x", (tx.get("y") ?? 0) - 1),
      () => db.set("y", 0),
      options,
    );
    await skew.result;
    const lost = await interleaved(
      db,
      (tx) => tx.set("x", 1),
      () => db.set("x", 2),
      options,
    );
    await expect(lost.result).rejects.toBeInstanceOf(ConflictError);
    const counted = await interleaved(
      db,
      (tx) => tx.increment("x", 1),
      () => db.set("x", 5),
      options,
    );
    await counted.result;
    expect(db.get("x")).toBe(6);
  });

  it("is told by key and version once the retries are used up", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    const run = await interleaved(
      db,
      (tx) => tx.set("b", (tx.get("a") ?? 0) + tx.count({ prefix: "z" })),
      () =>
        db.batch([
          { type: "set", key: "a", value: 2 },
          { type: "set", key: "zz", value: 2 },
        ]),
      { retries: 0 },
    );
    const error: unknown = await run.result.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({
      code: "CONFLICT",
      conflicts: [
        { key: "a", expected: 1, found: 2 },
        { key: "zz", expected: 0, found: 2 },
      ],
    });
    expect(db.has("b")).toBe(false);
  });

  it("is told once of a key, however often it was read and changed", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    for (const many of [0, 200]) {
      const run = await interleaved(
        db,
        (tx) =>
          tx.set("b", (tx.get("a") ?? 0) + tx.count({ prefix: "a" }) + tx.count({ gte: "a", lt: "aa" })),
        async () => {
          await db.set("a", 2);
          await db.set("a", 3);
          // So many that the range is read again rather than what was changed.
          for (let i = 0; i < many; i++) await db.set(`z${i}`, i);
        },
        { retries: 0 },
      );
      const error: unknown = await run.result.catch((reason: unknown) => reason);
      expect((error as ConflictError).conflicts.map(({ key }) => key)).toEqual(["a"]);
    }
  });
});
