import { describe, expect, it } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open, type Transaction } from "../../src/index.js";
import { temporaryDirectory } from "./fixture.js";
import { interleaved } from "./interleaved.js";

describe("a transaction", () => {
  it("commits its writes together, and its reads see them before", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    const before = db.version;
    const seen = await db.transact((tx) => {
      tx.set("a", 2);
      tx.set("b", 3);
      tx.delete("c");
      expect(db.get("a")).toBe(1);
      return [tx.get("a"), tx.get("b"), tx.has("c"), tx.entry("a")?.version, tx.entry("b")];
    });
    expect(seen).toEqual([2, 3, false, 0, { key: "b", value: 3, version: 0 }]);
    expect([db.get("a"), db.get("b"), db.version]).toEqual([2, 3, before + 1]);
  });

  it("keeps keys apart that are named in turns, here and in namespaces", async () => {
    await using db = await open<string>();
    const others = db.namespace<string>("others");
    const turns = ["a", "b", "a", "c", "b", "a", "c", "c", "a", "b"];
    await db.transact((tx) => {
      for (const own of [tx, tx.in(others)])
        for (const key of turns) own.set(key, `${own.get(key) ?? key} ${key}`);
      for (const key of ["a", "d", "d", "a"]) tx.in(others).delete(key);
    });
    expect([...db.list()].map(({ value }) => value)).toEqual(["a a a a a", "b b b b", "c c c c"]);
    expect([...others.list()].map(({ value }) => value)).toEqual(["b b b b", "c c c c"]);
  });

  it("does nothing when its function throws, and rejects with what was thrown", async () => {
    await using db = await open<number>();
    const error = new Error("no");
    const failing = db.transact((tx) => {
      tx.set("a", 1);
      throw error;
    });
    await expect(failing).rejects.toBe(error);
    const later = db.transact(async (tx) => {
      tx.set("a", 1);
      await Promise.resolve();
      throw error;
    });
    await expect(later).rejects.toBe(error);
    expect([db.get("a"), db.version]).toEqual([undefined, 0]);
  });

  it("writes nothing into the log when it writes nothing", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    expect(await db.transact((tx) => tx.get("a"))).toBe(1);
    expect(db.version).toBe(1);
  });

  it("never conflicts when it only reads, whatever changes", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    const { result, attempts } = await interleaved(
      db,
      (tx) => tx.get("a"),
      () => db.set("a", 2),
    );
    expect([await result, attempts()]).toEqual([1, 1]);
  });

  it("reads one state however long it takes, snapshot and deadlines included", async () => {
    await using db = await open<number>();
    await db.batch([
      { type: "set", key: "a", value: 1 },
      { type: "set", key: "b", value: 1 },
    ]);
    const seen = await db.transact(async (tx) => {
      const first = tx.get("a");
      await db.batch([
        { type: "set", key: "a", value: 2 },
        { type: "delete", key: "b" },
        { type: "set", key: "c", value: 2 },
      ]);
      return [first, tx.get("a"), tx.get("b"), tx.get("c"), [...tx.keys()], tx.count()];
    });
    expect(seen).toEqual([1, 1, 1, undefined, ["a", "b"], 2]);
  });

  it("hands out values that are the caller's own", async () => {
    await using db = await open<Uint8Array>(undefined, { codec: "bytes" });
    const given = Uint8Array.of(1, 2, 3);
    await db.transact((tx) => {
      tx.set("a", given);
      given[0] = 9;
      const got = tx.get("a");
      expect(got).toEqual(Uint8Array.of(1, 2, 3));
      if (got !== undefined) got[1] = 9;
      expect(tx.get("a")).toEqual(Uint8Array.of(1, 2, 3));
    });
    expect(db.get("a")).toEqual(Uint8Array.of(1, 2, 3));
  });

  it("lists its own writes as they were when the iteration began, whatever kinds of keys they have", async () => {
    await using db = await open<number>();
    for (const key of ["a", "c", 1, [5]]) await db.set(key, 1);
    await db.transact((tx) => {
      tx.set("b", 2);
      for (const reverse of [false, true]) {
        const first = tx.savepoint();
        const seen: unknown[] = [];
        for (const key of tx.keys({ reverse })) {
          seen.push(key);
          for (const other of ["0", "bb", "z", 0, 2, 9n, true, [9]]) tx.set(other, 3);
          tx.delete(1);
        }
        const keys = ["a", "b", "c", 1, [5]];
        expect(seen).toEqual(reverse ? keys.toReversed() : keys);
        tx.rollbackTo(first);
      }
    });
  });

  it("lists stored and own keys in one order, in both directions, with limits", async () => {
    await using db = await open<number>();
    for (const key of ["a", "c", "e", "g"]) await db.set(key, 1);
    await db.transact((tx) => {
      tx.set("b", 2);
      tx.set("c", 2);
      tx.delete("e");
      tx.increment("g", 5);
      tx.increment("z", 7);
      const forward = [...tx.list()].map(({ key, value, version }) => [key, value, version]);
      expect(forward).toEqual([
        ["a", 1, 1],
        ["b", 2, 0],
        ["c", 2, 0],
        ["g", 6, 0],
        ["z", 7, 0],
      ]);
      expect([...tx.keys({ reverse: true })]).toEqual(["z", "g", "c", "b", "a"]);
      expect([...tx.keys({ gt: "a", lt: "g", reverse: true, limit: 1 })]).toEqual(["c"]);
      expect([...tx.keys({ limit: 3 })]).toEqual(["a", "b", "c"]);
      expect([...tx.keys({ limit: 0 })]).toEqual([]);
      expect(tx.count({ gte: "b" })).toBe(4);
    });
    expect([...db.list()].map(({ key, value }) => [key, value])).toEqual([
      ["a", 1],
      ["b", 2],
      ["c", 2],
      ["g", 6],
      ["z", 7],
    ]);
  });

  it("goes back to a savepoint, and only to one that is left", async () => {
    await using db = await open<number>();
    await db.transact((tx) => {
      tx.set("a", 1);
      const first = tx.savepoint();
      tx.set("a", 2);
      const second = tx.savepoint();
      tx.delete("a");
      tx.set("b", 3);
      tx.rollbackTo(second);
      expect([tx.get("a"), tx.get("b")]).toEqual([2, undefined]);
      tx.rollbackTo(first);
      expect([tx.get("a"), [...tx.keys()]]).toEqual([1, ["a"]]);
      expect(() => tx.rollbackTo(second)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
      tx.rollbackTo(first);
      expect(() => tx.rollbackTo({ writes: 0 })).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    });
    expect([...db.list()].map(({ value }) => value)).toEqual([1]);
  });

  it("cannot be used after its end", async () => {
    await using db = await open<number>();
    let kept: Transaction<number> | undefined;
    await db.transact((tx) => {
      kept = tx;
    });
    const ended = expect.objectContaining({ code: "TRANSACTION_ENDED" });
    expect(() => kept?.get("a")).toThrow(ended);
    expect(() => kept?.set("a", 1)).toThrow(ended);
    expect(() => kept?.increment("a")).toThrow(ended);
    expect(() => kept?.keys()).toThrow(ended);
    expect(() => kept?.savepoint()).toThrow(ended);
  });

  it("checks its arguments at once", async () => {
    await using db = await open<number>();
    const wrong = (code: string) => expect.objectContaining({ code });
    await db.transact((tx) => {
      expect(() => tx.get(Number.NaN)).toThrow(wrong("INVALID_KEY"));
      expect(() => tx.list({ limit: -1 })).toThrow(wrong("INVALID_ARGUMENT"));
      expect(() => tx.get("a", { conflicts: true } as never)).toThrow(wrong("UNKNOWN_OPTION"));
      expect(() => tx.increment("a", 0.5)).toThrow(wrong("NOT_AN_INTEGER"));
    });
    await expect(db.transact(5 as never)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(db.transact(() => {}, { isolation: "none" as never })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    await expect(db.transact(() => {}, { retry: 1 } as never)).rejects.toMatchObject({
      code: "UNKNOWN_OPTION",
    });
    await expect(db.transact(() => {}, { signal: {} as never })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("counters", () => {
  it("add up, from zero, and keep the deadline", async () => {
    await using db = await open<number>();
    const expiresAt = Date.now() + 3_600_000;
    await db.set("timed", 1, { expiresAt });
    await db.transact((tx) => {
      tx.increment("n");
      tx.increment("n", 4);
      expect(tx.get("n")).toBe(5);
      tx.set("m", 1);
      tx.increment("m", -3);
      tx.increment("timed");
    });
    expect([db.get("n"), db.get("m"), db.get("timed"), db.entry("timed")?.expiresAt]).toEqual([
      5,
      -2,
      2,
      expiresAt,
    ]);
  });

  it("refuse what is no integer and what leaves the exact ones, with nothing done", async () => {
    await using db = await open<unknown>();
    await db.set("text", "1");
    await db.set("large", Number.MAX_SAFE_INTEGER);
    const wrong = db.transact((tx) => {
      tx.set("other", 1);
      tx.increment("text");
    });
    await expect(wrong).rejects.toMatchObject({ name: "TypeError", code: "NOT_AN_INTEGER" });
    const over = db.transact((tx) => tx.increment("large"));
    await expect(over).rejects.toMatchObject({ name: "RangeError", code: "INTEGER_OVERFLOW" });
    expect([db.has("other"), db.get("large")]).toEqual([false, Number.MAX_SAFE_INTEGER]);
  });

  it("hold bigints where the codec does", async () => {
    const codec = {
      name: "bigint",
      encode: (value: bigint) => new TextEncoder().encode(String(value)),
      decode: (bytes: Uint8Array) => BigInt(new TextDecoder().decode(bytes)),
    };
    await using db = await open<bigint>(undefined, { codec });
    await db.transact((tx) => tx.increment("n", 2n ** 70n));
    await db.transact((tx) => tx.increment("n", 1n));
    expect(db.get("n")).toBe(2n ** 70n + 1n);
    await expect(db.transact((tx) => tx.increment("n", 1))).rejects.toMatchObject({ code: "NOT_AN_INTEGER" });
  });
});

describe("what ends a transaction", () => {
  it("the time it is given: it pins nothing any more, and what it does later has no effect", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let late: unknown;
    const abandoned = db.transact(
      async (tx) => {
        tx.get("a");
        await gate;
        try {
          tx.set("a", 9);
        } catch (error) {
          late = error;
        }
      },
      { timeoutMs: 5 },
    );
    await expect(abandoned).rejects.toMatchObject({ code: "TIMEOUT", details: { timeoutMs: 5 } });
    await db.set("a", 2);
    expect(db.status().memory.oldVersions).toBe(0);
    release();
    await gate;
    await Promise.resolve();
    expect(late).toMatchObject({ code: "TRANSACTION_ENDED" });
    expect(db.get("a")).toBe(2);
  });

  it("its signal, before it begins and while it waits", async () => {
    await using db = await open<number>();
    const reason = new Error("stop");
    const ran: number[] = [];
    const before = db.transact(() => ran.push(1), { signal: AbortSignal.abort(reason) });
    await expect(before).rejects.toMatchObject({ code: "ABORTED", cause: reason });
    const controller = new AbortController();
    const waiting = db.transact(
      async (tx) => {
        tx.set("a", 1);
        await new Promise(() => {});
      },
      { signal: controller.signal },
    );
    controller.abort(reason);
    await expect(waiting).rejects.toMatchObject({ code: "ABORTED", cause: reason });
    expect([ran, db.has("a")]).toEqual([[], false]);
  });

  it("its time and its signal also where it only reads, and never waits", async () => {
    await using db = await open<number>();
    const controller = new AbortController();
    const aborting = db.transact(() => controller.abort(), { signal: controller.signal });
    await expect(aborting).rejects.toMatchObject({ code: "ABORTED" });
    let elapsedMs = 0;
    const clock = { wallMs: () => Date.now(), monotonicMs: () => elapsedMs };
    await using slow = await open<number>(undefined, { runtime: { ...nodeRuntime(), clock } });
    const late = slow.transact(() => (elapsedMs += 6), { timeoutMs: 5 });
    await expect(late).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  it("the end of the store", async () => {
    const db = await open<number>();
    const waiting = db.transact(() => new Promise(() => {}));
    const rejected = expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
    await db.close();
    await rejected;
    await expect(db.transact(() => {})).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("not a transaction inside another: that is refused", async () => {
    await using db = await open<number>();
    const inner: unknown[] = [];
    await db.transact((tx) => {
      tx.set("a", 1);
      inner.push(db.transact((nested) => nested.set("a", 2)).catch((error: unknown) => error));
    });
    expect(await inner[0]).toMatchObject({ code: "NESTED_TRANSACTION" });
    expect(db.get("a")).toBe(1);
  });

  it("nor one inside after an await, which commits like any other: the conflict says what to look for", async () => {
    await using db = await open<number>();
    const outer = db.transact(
      async (tx) => {
        const before = tx.get("a") ?? 0;
        await Promise.resolve();
        await db.transact((nested) => nested.set("a", before + 1));
        tx.set("b", before);
      },
      { retries: 2 },
    );
    await expect(outer).rejects.toMatchObject({
      name: "ConflictError",
      code: "CONFLICT",
      message: expect.stringMatching(
        /3 times in a row: if its own function writes these keys beside its `tx`/,
      ),
      details: { attempts: 3 },
      conflicts: [{ key: "a", expected: 2, found: 3 }],
    });
    expect([db.get("a"), db.get("b")]).toEqual([3, undefined]);
  });
});

describe("a transaction on a directory", () => {
  it("is there as a whole after the store is opened again", async () => {
    const directory = await temporaryDirectory();
    const db = await open<number>(directory);
    await db.transact((tx) => {
      tx.set("a", 1);
      tx.set("b", 2);
      tx.increment("n", 3);
    });
    await db.close();
    await using again = await open<number>(directory);
    expect([again.get("a"), again.get("b"), again.get("n")]).toEqual([1, 2, 3]);
  });
});
