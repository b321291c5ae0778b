import { describe, expect, test } from "vitest";
import { type CommitEvent, open } from "../../../src/index.js";
import { brief, errorOf, rest, take } from "./support.js";

describe("what is watched", () => {
  test("a key, a prefix, a range, tuples, everything: only commits that change it, with those changes", async () => {
    await using db = await open<number>();
    const seen = new Map<string, unknown[]>();
    const watch = (name: string, keys: Parameters<typeof db.watch>[0]): void => {
      seen.set(name, []);
      db.watch(keys, (commit) => seen.get(name)?.push(brief(commit)));
    };
    watch("key", "user:1");
    watch("number", 7);
    watch("tuple", ["a", 1]);
    watch("bytes", Uint8Array.of(1));
    watch("prefix", { prefix: "user:" });
    watch("tuples", { prefix: ["a"] });
    watch("range", { gte: "user:1", lt: "user:2" });
    watch("all", {});
    await db.set("user:1", 1);
    await db.set("user:10", 2);
    await db.batch([
      { type: "set", key: "user:1", value: 3 },
      { type: "set", key: 7, value: 4 },
      { type: "set", key: ["a", 1], value: 5 },
      { type: "set", key: ["a", 1], value: 6 },
      { type: "set", key: Uint8Array.of(1), value: 7 },
    ]);
    await db.delete("user:1");
    const one = Uint8Array.of(1);
    expect(Object.fromEntries(seen)).toEqual({
      key: [
        [1, "user:1", 1],
        [3, "user:1", 3],
        [4, "user:1", "deleted"],
      ],
      number: [[3, 7, 4]],
      tuple: [[3, ["a", 1], 6]],
      bytes: [[3, one, 7]],
      prefix: [
        [1, "user:1", 1],
        [2, "user:10", 2],
        [3, "user:1", 3],
        [4, "user:1", "deleted"],
      ],
      tuples: [[3, ["a", 1], 6]],
      range: [
        [1, "user:1", 1],
        [2, "user:10", 2],
        [3, "user:1", 3],
        [4, "user:1", "deleted"],
      ],
      all: [
        [1, "user:1", 1],
        [2, "user:10", 2],
        [3, "user:1", 3, 7, 4, ["a", 1], 6, one, 7],
        [4, "user:1", "deleted"],
      ],
    });
  });

  test("wrong calls are refused at once", async () => {
    await using db = await open();
    const code = (keys: unknown, how?: unknown): unknown => {
      try {
        db.watch(keys as never, how as never);
      } catch (error) {
        return (error as { code: string }).code;
      }
      return undefined;
    };
    expect([
      code(Number.NaN),
      code(null),
      code({ limit: 1 }),
      code({ prefix: 5 }),
      code("k", 5),
      code("k", null),
      code("k", { after: 1 }),
      code("k", { since: -1 }),
      code("k", { since: 1.5 }),
      code("k", { coalesce: 1 }),
      code("k", { signal: {} }),
      code("k", { limits: { entries: 1 } }),
      code("k", { limits: { bytes: 0 } }),
    ]).toEqual([
      "INVALID_KEY",
      "INVALID_KEY",
      "UNKNOWN_OPTION",
      "INVALID_ARGUMENT",
      "INVALID_ARGUMENT",
      "INVALID_ARGUMENT",
      "UNKNOWN_OPTION",
      "INVALID_ARGUMENT",
      "INVALID_ARGUMENT",
      "INVALID_ARGUMENT",
      "INVALID_ARGUMENT",
      "UNKNOWN_OPTION",
      "INVALID_ARGUMENT",
    ]);
  });

  test("a value is that of its commit, decoded for each look, and of nobody else", async () => {
    await using db = await open<{ n: number }>();
    const stream = db.watch("k");
    const other = db.watch("k");
    await db.set("k", { n: 1 });
    await db.set("k", { n: 2 });
    const [first, second] = await take(stream, 2);
    const [same] = await take(other, 1);
    const value = first.changes[0].value;
    if (value !== undefined) value.n = 99;
    expect([first, second, same].map(({ changes }) => changes[0].value)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 1 },
    ]);
  });

  test("reasons: written, deleted, expired, evicted; live and from the history", async () => {
    await using db = await open<string>(undefined, { maxMemory: 1024 * 1024, eviction: "lru" });
    const live = db.watch({});
    await db.set("w", "1");
    await db.delete("w");
    await db.set("e", "1", { ttl: 1 });
    const [, , , expired] = await take(live, 4);
    await db.set("v", "1");
    await db.evict({ entries: 1 });
    const shown = [expired, ...(await take(live, 2))];
    expect(shown.map(({ changes }) => changes[0].reason)).toEqual(["expired", "written", "evicted"]);
    const past = await take(db.watch({}, { since: 0 }), 6);
    expect(past.map(({ changes }) => changes[0].reason)).toEqual([
      "written",
      "deleted",
      "written",
      "expired",
      "written",
      "evicted",
    ]);
    expect(past.map(({ remote }) => remote)).toEqual(Array(6).fill(false));
    expect(past[2].changes[0].expiresAt).toBeGreaterThan(0);
    expect(past.slice(3)).toEqual(shown);
  });
});

describe("a stream ends", () => {
  test("when its loop is left, by close, by using, and with the store, after what was published", async () => {
    const db = await open<number>();
    const left = db.watch({});
    const closed = db.watch({});
    const kept = db.watch({});
    const pending = closed.next();
    {
      using scoped = db.watch({});
      await using other = db.watch({});
      expect([scoped.isClosed, other.isClosed]).toEqual([false, false]);
    }
    closed.close();
    expect(await pending).toEqual({ done: true, value: undefined });
    await db.set("a", 1);
    await db.set("b", 2);
    for await (const commit of left) {
      expect(brief(commit)).toEqual([1, "a", 1]);
      break;
    }
    expect(left.isClosed).toBe(true);
    expect(await left.next()).toEqual({ done: true, value: undefined });
    await db.close();
    expect((await rest(kept)).map(brief)).toEqual([
      [1, "a", 1],
      [2, "b", 2],
    ]);
    expect(() => db.watch({})).toThrow(expect.objectContaining({ code: "CLOSED" }));
  });

  test("by its signal: with ABORTED, and nothing that waited is shown", async () => {
    await using db = await open<number>();
    const stop = new AbortController();
    const stream = db.watch({}, { signal: stop.signal });
    await db.set("a", 1);
    await take(stream, 1);
    const pending = errorOf(stream.next());
    stop.abort(new Error("enough"));
    expect(await pending).toMatchObject({ code: "ABORTED", cause: { message: "enough" } });
    await db.set("a", 2);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    const early = db.watch({}, { signal: stop.signal });
    expect(await errorOf(early.next())).toMatchObject({ code: "ABORTED" });
  });

  test("while it is read by several callers: each gets the next commit, in order", async () => {
    await using db = await open<number>();
    const stream = db.watch({});
    const results = [stream.next(), stream.next(), stream.next()];
    await db.set("a", 1);
    await db.set("b", 2);
    await results[1];
    stream.close();
    const done = await Promise.all(results);
    expect(done.map((result) => (result.done === true ? "end" : brief(result.value)))).toEqual([
      [1, "a", 1],
      [2, "b", 2],
      "end",
    ]);
  });
});

describe("who writes and watches", () => {
  test("a listener that writes is shown its own commit after this one, and everybody sees the same order", async () => {
    await using db = await open<number>();
    const seen: unknown[][] = [[], []];
    db.watch("n", ({ version, changes }) => {
      seen[0].push(version);
      if ((changes[0].value ?? 9) < 3) void db.set("n", (changes[0].value ?? 0) + 1);
    });
    db.watch("n", ({ version, changes }) => seen[1].push([version, changes[0].value]));
    const stream = db.watch("n");
    await db.set("n", 1);
    expect(seen).toEqual([
      [1, 2, 3],
      [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
    ]);
    expect((await take(stream, 3)).map(({ version }) => version)).toEqual([1, 2, 3]);
  });

  test("a watch that a listener opens or closes in the middle of a commit", async () => {
    await using db = await open<number>();
    const seen: string[] = [];
    db.watch("k", () => {
      last.close();
      if (seen.length === 0) db.watch("k", ({ version }) => seen.push(`inner ${version}`));
      seen.push("first");
    });
    const last = db.watch("k", () => seen.push("last"));
    await db.set("k", 1);
    await db.set("k", 2);
    expect(seen).toEqual(["first", "first", "inner 2"]);
  });

  test("watch first, scan second: together they are every state, whatever is written meanwhile", async () => {
    await using db = await open<number>();
    for (let i = 0; i < 50; i++) await db.set(i, 0);
    let isWriting = true;
    const writer = (async () => {
      for (let n = 1; n <= 400; n++) {
        if (n % 7 === 0) await db.delete(n % 50);
        else await db.set(n % 50, n);
        if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      isWriting = false;
    })();
    for (let round = 0; isWriting; round++) {
      await new Promise((resolve) => setImmediate(resolve));
      const stream = db.watch({});
      const state = new Map<unknown, number | undefined>();
      await new Promise((resolve) => setImmediate(resolve));
      for await (const { key, value } of db.list()) state.set(key, value);
      const through = db.version;
      await db.set("mark", round);
      for await (const { changes, version } of stream) {
        if (version > through) break;
        for (const { key, value } of changes) {
          if (value === undefined) state.delete(key);
          else state.set(key, value);
        }
        if (version === through) break;
      }
      state.delete("mark");
      // Of the versions up to `through`; the mark may be the only thing behind it.
      await check(state, through);
    }
    await writer;

    /** The same by the history alone. */
    async function check(state: Map<unknown, number | undefined>, through: number): Promise<void> {
      const expected = new Map<unknown, number | undefined>();
      for await (const { changes, version } of db.watch({}, { since: 0 })) {
        if (version > through) break;
        for (const { key, value } of changes) {
          if (value === undefined) expected.delete(key);
          else expected.set(key, value);
        }
      }
      expected.delete("mark");
      expect(new Map([...state].sort(order))).toEqual(new Map([...expected].sort(order)));
    }
    function order([a]: [unknown, unknown], [b]: [unknown, unknown]): number {
      return Number(a) - Number(b);
    }
  });
});

describe("a slow consumer", () => {
  const LIMITS = { commits: 5, bytes: 1 << 20 };

  test("T-WATCH-01: is fed from the history beyond its limits: nothing is missing, nothing comes twice", async () => {
    await using db = await open<number>();
    const stream = db.watch({}, { limits: LIMITS });
    const expected: unknown[] = [];
    for (let n = 1; n <= 200; n++) {
      await db.set(n % 10, n);
      expected.push([n, n % 10, n]);
      // Now and then it takes some, in the middle of catching up, too.
      if (n % 40 === 0) expect((await take(stream, 13)).map(brief)).toEqual(expected.splice(0, 13));
    }
    expect((await take(stream, expected.length)).map(brief)).toEqual(expected);
    await db.set("live", 1);
    expect((await take(stream, 1)).map(brief)).toEqual([[201, "live", 1]]);
  });

  test("T-WATCH-01: is told of a gap where no history is left, and misses nothing behind it", async () => {
    await using db = await open<string>(undefined, { historyBytes: 4096, codec: "text" });
    const stream = db.watch({}, { limits: LIMITS });
    for (let n = 1; n <= 100; n++) await db.set(n, "x".repeat(200));
    const commits = await take(stream, 6);
    expect(commits.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 100]);
    expect(brief(commits[5])).toEqual([100, "gap", 5, 100]);
    expect(commits[5].changes).toEqual([]);
    await db.set("after", "y");
    expect((await take(stream, 1)).map(brief)).toEqual([[101, "after", "y"]]);
  });

  test("T-WATCH-01: without any history, too, and the limit of bytes holds", async () => {
    await using db = await open<string>(undefined, { historyBytes: 0, codec: "text" });
    const stream = db.watch({}, { limits: { bytes: 10_000 } });
    for (let n = 1; n <= 100; n++) await db.set(n, "x".repeat(3000));
    const commits = await take(stream, 5);
    expect(commits.map(({ version }) => version)).toEqual([1, 2, 3, 4, 100]);
    expect(commits[4].gap).toEqual({ after: 4, through: 100 });
    expect(db.status().history).toEqual({ oldest: 100, bytes: 0 });
  });

  test("coalesces: one event with the latest of each key, as of one moment", async () => {
    await using db = await open<number>();
    const stream = db.watch({}, { coalesce: true });
    await db.set("a", 1);
    await db.set("b", 2);
    await db.set("a", 3);
    await db.delete("b");
    await db.set("c", 4);
    expect((await take(stream, 1)).map(brief)).toEqual([[5, "a", 3, "b", "deleted", "c", 4]]);
    const pending = take(stream, 1);
    await db.set("a", 5);
    expect((await pending).map(brief)).toEqual([[6, "a", 5]]);
  });

  test("coalesces what it reads from the history, too, within its limit of bytes", async () => {
    await using db = await open<number>();
    for (let n = 1; n <= 1000; n++) await db.set(n % 3, n);
    const stream = db.watch({}, { since: 0, coalesce: true, limits: { bytes: 100_000 } });
    expect((await take(stream, 1)).map(brief)).toEqual([[1000, 2, 998, 0, 999, 1, 1000]]);
    const tight = db.watch({}, { since: 0, coalesce: true, limits: { bytes: 300 } });
    const commits: CommitEvent<number>[] = await take(tight, 4);
    expect(commits.every(({ changes }) => changes.length <= 3)).toBe(true);
    const versions = commits.map(({ version }) => version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
  });
});

describe("since", () => {
  test("a version that is not here, or was never that of a commit: COMPACTED, with where to go on", async () => {
    await using db = await open<string>(undefined, { historyBytes: 4096, codec: "text" });
    for (let n = 1; n <= 100; n++) await db.set(n, "x".repeat(200));
    const { oldest } = db.status().history;
    expect(oldest).toBeGreaterThan(80);
    for (const since of [0, oldest - 1, 101]) {
      const stream = db.watch({}, { since });
      const error = await errorOf(stream.next());
      expect(error).toMatchObject({ code: "COMPACTED", details: { since, version: 100, oldest } });
      expect(await stream.next()).toEqual({ done: true, value: undefined });
    }
    const stream = db.watch({}, { since: oldest });
    expect((await take(stream, 100 - oldest)).map(({ version }) => version)).toEqual(
      Array.from({ length: 100 - oldest }, (_, i) => oldest + 1 + i),
    );
    const now = db.watch({}, { since: db.version });
    await db.set("next", "y");
    expect((await take(now, 1)).map(brief)).toEqual([[101, "next", "y"]]);
  });

  test("a commit larger than the history ends what came before it", async () => {
    await using db = await open<string>(undefined, { historyBytes: 4096, codec: "text" });
    await db.set("a", "1");
    await db.set("b", "x".repeat(5000));
    expect(db.status().history).toEqual({ oldest: 2, bytes: 0 });
    expect(await errorOf(db.watch({}, { since: 1 }).next())).toMatchObject({ code: "COMPACTED" });
    await db.set("c", "2");
    expect((await take(db.watch({}, { since: 2 }), 1)).map(brief)).toEqual([[3, "c", "2"]]);
  });
});
