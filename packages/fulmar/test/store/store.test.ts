import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import {
  type BatchOperation,
  type Key,
  type OpenOptions,
  open,
  type Store,
  type WriteOptions,
} from "../../src/index.js";
import { temporaryDirectory } from "./fixture.js";

const KEYS_IN_ORDER: readonly Key[] = [
  "",
  "a",
  "a\u0000",
  "b",
  "é",
  "🐦",
  new Uint8Array([0]),
  new Uint8Array([0, 255]),
  Number.NEGATIVE_INFINITY,
  -1.5,
  0,
  2,
  10,
  -(2n ** 70n),
  -1n,
  5n,
  2n ** 70n,
  false,
  true,
  [],
  ["a"],
  ["a", 1],
  ["a", 2],
  ["b"],
];

/** The same behaviour is expected with and without a directory, before and after a restart. */
const KINDS: readonly { name: string; durable: boolean }[] = [
  { name: "in memory", durable: false },
  { name: "with a directory", durable: true },
];

describe.each(KINDS)("a store $name", ({ durable }) => {
  async function opened<V = unknown>(options: OpenOptions<V> = {}): Promise<Store<V>> {
    return open<V>(durable ? join(await temporaryDirectory(), "data") : undefined, options);
  }

  test("a write is readable at once and acknowledged with version and stamp", async () => {
    await using db = await opened();
    const written = db.set("k", { n: 1 });
    expect(db.get("k")).toEqual({ n: 1 });
    expect(db.has("k")).toBe(true);
    const { version, stamp } = await written;
    expect(version).toBe(db.version);
    expect(stamp).toMatchObject({ origin: db.status().incarnation, seq: 1 });
    expect(db.entry("k")).toEqual({ key: "k", value: { n: 1 }, version, stamp });
  });

  test("absent, deleted and overwritten keys", async () => {
    await using db = await opened();
    expect([db.get("k"), db.has("k"), db.entry("k")]).toEqual([undefined, false, undefined]);
    await db.set("k", 1);
    await db.set("k", 2);
    expect(db.getMany(["k", "none"])).toEqual([2, undefined]);
    await db.delete("k");
    expect([db.get("k"), db.has("k"), db.entry("k"), db.count()]).toEqual([undefined, false, undefined, 0]);
    await db.delete("never there");
  });

  test("previous gives the entry that was replaced", async () => {
    await using db = await opened<string>();
    expect((await db.set("k", "1", { previous: true })).previous).toBeUndefined();
    expect((await db.set("k", "2", { previous: true })).previous).toMatchObject({ key: "k", value: "1" });
    expect((await db.delete("k", { previous: true })).previous).toMatchObject({ value: "2" });
  });

  test("T-WAL-11: empty keys and empty values are kept", async () => {
    await using db = await opened<Uint8Array>({ codec: "bytes" });
    await db.set("", new Uint8Array(0));
    await db.set(new Uint8Array(0), new Uint8Array(0));
    expect(db.get("")).toEqual(new Uint8Array(0));
    expect([...db.keys()]).toEqual(["", new Uint8Array(0)]);
  });

  test("keys of every kind come in their documented order, forwards and backwards", async () => {
    await using db = await opened<number>();
    for (const [i, key] of [...KEYS_IN_ORDER.entries()].reverse()) void db.set(key, i);
    await db.flush();
    expect([...db.keys()]).toEqual(KEYS_IN_ORDER);
    expect([...db.values()]).toEqual(KEYS_IN_ORDER.map((_, i) => i));
    expect([...db.keys({ reverse: true })]).toEqual([...KEYS_IN_ORDER].reverse());
    expect(db.count()).toBe(KEYS_IN_ORDER.length);
  });

  test("ranges: every bound, combined, limited and reversed", async () => {
    await using db = await opened<number>();
    await db.batch(["a", "b", "c", "d", "e"].map((key, value) => ({ type: "set", key, value }) as const));
    const keys = (options: Parameters<typeof db.keys>[0]) => [...db.keys(options)].join("");
    expect(keys({ gt: "b", lte: "d" })).toBe("cd");
    expect(keys({ gte: "b", lt: "d" })).toBe("bc");
    expect(keys({ gte: "b", limit: 2 })).toBe("bc");
    expect(keys({ gte: "b", limit: 2, reverse: true })).toBe("ed");
    expect(keys({ gt: "d", lt: "b" })).toBe("");
    expect(keys({ limit: 0 })).toBe("");
    expect(db.count({ gt: "a", lt: "e" })).toBe(3);
  });

  test("prefixes of strings and of tuples", async () => {
    await using db = await opened<number>();
    const names: Key[] = ["user:1", "user:2", "users", ["user", 1], ["user", 2], ["users", 1]];
    for (const name of names) void db.set(name, 0);
    expect([...db.keys({ prefix: "user:" })]).toEqual(["user:1", "user:2"]);
    expect([...db.keys({ prefix: ["user"] })]).toEqual([
      ["user", 1],
      ["user", 2],
    ]);
    await db.flush();
  });

  test("a prefix and bounds hold together, also on the same side and where nothing is left", async () => {
    await using db = await open<number>();
    for (const key of ["a", "b1", "b2", "b3", "c"]) await db.set(key, 1);
    expect([...db.keys({ prefix: "b", gte: "b2" })]).toEqual(["b2", "b3"]);
    expect([...db.keys({ prefix: "b", gt: "a", lt: "b3" })]).toEqual(["b1", "b2"]);
    expect([...db.keys({ prefix: "b", gt: "b1", gte: "b1", lt: "c", lte: "b2" })]).toEqual(["b2"]);
    expect([db.count({ prefix: "b", lt: "b" }), db.count({ prefix: "b", gt: "c" })]).toEqual([0, 0]);
  });

  test("a listing shows the state when it began, whatever is written meanwhile", async () => {
    await using db = await opened<number>();
    await db.batch(Array.from({ length: 600 }, (_, i) => ({ type: "set", key: i, value: i }) as const));
    const seen: unknown[] = [];
    for (const { key, value } of db.list()) {
      seen.push(value);
      if (key === 0) {
        void db.delete(1);
        void db.set(2, -2);
        void db.set(0.5, -1);
      }
    }
    expect(seen).toEqual(Array.from({ length: 600 }, (_, i) => i));
    const later: unknown[] = [];
    for await (const value of db.values()) {
      if (later.push(value) === 10) void db.set(599, 0);
    }
    expect(later.slice(0, 3)).toEqual([0, -1, -2]);
    expect(later.at(-1)).toBe(599);
    expect(db.status().memory.oldVersions).toBeGreaterThanOrEqual(0);
    await db.flush();
    expect(db.status().memory.oldVersions).toBe(0);
  });

  test("leaving a listing early lets go of its state", async () => {
    await using db = await opened<number>();
    await db.batch([1, 2, 3].map((key) => ({ type: "set", key, value: key }) as const));
    for (const _ of db.list()) break;
    for await (const _ of db.list()) break;
    await db.set(1, 10);
    await db.flush();
    expect(db.status().memory.oldVersions).toBe(0);
  });

  test("a batch is one commit; the later operation on a key counts", async () => {
    await using db = await opened<number>();
    await db.set("gone", 1);
    const { version } = await db.batch([
      { type: "set", key: "a", value: 1 },
      { type: "delete", key: "gone" },
      { type: "set", key: "a", value: 2 },
    ]);
    expect([db.get("a"), db.get("gone")]).toEqual([2, undefined]);
    expect(db.entry("a")?.version).toBe(version);
    expect(db.version).toBe(version);
  });

  test("a batch with one bad operation changes nothing", async () => {
    await using db = await opened<unknown>();
    const bad: BatchOperation<unknown>[] = [
      { type: "set", key: "a", value: 1 },
      { type: "set", key: Number.NaN, value: 1 },
    ];
    await expect(db.batch(bad)).rejects.toMatchObject({ code: "INVALID_KEY" });
    expect([db.get("a"), db.version]).toEqual([undefined, 0]);
  });

  test("what is read is the caller's own", async () => {
    await using db = await opened<Uint8Array>({ codec: "bytes" });
    const given = new Uint8Array([1, 2, 3]);
    await db.set("k", given);
    given[0] = 9;
    const taken = db.get("k") as Uint8Array;
    expect(taken).toEqual(new Uint8Array([1, 2, 3]));
    taken[1] = 9;
    expect(db.get("k")).toEqual(new Uint8Array([1, 2, 3]));
    await db.set("k", new Uint8Array([7, 7, 7]));
    expect(taken).toEqual(new Uint8Array([1, 9, 3]));
  });

  test("codecs: text, bytes, and one's own", async () => {
    await using text = await opened<string>({ codec: "text" });
    await text.set("k", "grüße");
    expect(text.get("k")).toBe("grüße");
    const codec = {
      name: "date",
      encode: (value: Date) => new TextEncoder().encode(value.toISOString()),
      decode: (bytes: Uint8Array) => new Date(new TextDecoder().decode(bytes)),
    };
    await using dates = await opened<Date>({ codec });
    await dates.set("k", new Date(0));
    expect(dates.get("k")).toEqual(new Date(0));
  });

  test("a codec may use one buffer again and again, also within a batch", async () => {
    const buffer = new Uint8Array(1);
    const codec = {
      name: "reused",
      encode: (value: number) => {
        buffer[0] = value;
        return buffer;
      },
      decode: (bytes: Uint8Array) => bytes[0],
    };
    await using db = await opened<number>({ codec });
    await db.batch([1, 2, 3].map((value) => ({ type: "set", key: value, value }) as const));
    expect([...db.values()]).toEqual([1, 2, 3]);
  });

  test("watchers see whole commits in order, only their keys, and nothing after close", async () => {
    await using db = await opened<number>();
    const seen: string[] = [];
    const watch = db.watch({ prefix: "a" }, (commit) => {
      seen.push(`${commit.version}:${commit.changes.map((c) => `${c.type} ${c.key}=${c.value}`).join(",")}`);
    });
    await db.batch([
      { type: "set", key: "a1", value: 1 },
      { type: "set", key: "b1", value: 1 },
      { type: "set", key: "a2", value: 2 },
    ]);
    await db.set("b2", 1);
    await db.delete("a1");
    expect(seen).toEqual(["1:set a1=1,set a2=2", "3:delete a1=undefined"]);
    watch.close();
    await db.set("a3", 3);
    expect(seen).toHaveLength(2);
  });

  test("a batch that names a key twice is one change of it: the later", async () => {
    await using db = await open<number>();
    const seen: unknown[] = [];
    db.watch({}, ({ changes }) => seen.push(...changes.map(({ key, value }) => [key, value])));
    await db.batch([
      { type: "set", key: "k", value: 1 },
      { type: "delete", key: "k" },
      { type: "set", key: "k", value: 2 },
    ]);
    expect(seen).toEqual([["k", 2]]);
  });

  test("an empty batch is a commit of its own", async () => {
    await using db = await open<number>();
    const { version } = await db.batch([]);
    expect(db.version).toBe(version);
    expect((await db.set("k", 1)).version).toBe(version + 1);
  });

  test("what a read gives is of one moment, also when a deadline passes meanwhile", async () => {
    const clock = { ms: Date.now(), wallMs: () => clock.ms++, monotonicMs: () => 0 };
    await using db = await open<number>(undefined, { runtime: { ...nodeRuntime(), clock } });
    for (let ttl = 1; ttl < 20; ttl++) {
      await db.set("k", 1, { ttl });
      for (let i = 0; i < 20; i++) {
        const entry = db.entry("k");
        if (entry !== undefined) expect(entry).toMatchObject({ value: 1 });
      }
      await db.set("k", 1, { ttl });
      const { previous } = await db.set("k", 1, { ttl, previous: true });
      if (previous !== undefined) expect(previous).toMatchObject({ value: 1 });
      const expiresAt = clock.ms + ttl;
      await db.batch([1, 2, 3].map((key) => ({ type: "set", key, value: key, expiresAt })));
      for (let i = 0; i < 20; i++) expect([3, 0]).toContain(db.getMany([1, 2, 3]).filter(Boolean).length);
    }
  });

  test("a watcher may write, and one that throws disturbs nobody", async () => {
    await using db = await opened<number>();
    const seen: unknown[] = [];
    db.watch({ prefix: "n" }, () => {
      throw new Error("a mistake of the application");
    });
    db.watch({ prefix: "n" }, (commit) => {
      const value = commit.changes[0].value as number;
      seen.push(value);
      if (value < 3) void db.set("n", value + 1);
    });
    await db.set("n", 1);
    await db.flush();
    await db.flush();
    expect(seen).toEqual([1, 2, 3]);
  });

  test("the limits hold exactly: at the limit it works, one above it does not", async () => {
    const limits = { keyBytesMax: 10, valueBytesMax: 20, commitEntriesMax: 3, commitBytesMax: 200 };
    await using db = await opened<Uint8Array>({ codec: "bytes", limits });
    const value = new Uint8Array(20);
    await db.set("k".repeat(10), value);
    await expect(db.set("k".repeat(11), value)).rejects.toMatchObject({ code: "KEY_TOO_LARGE" });
    await expect(db.set("k", new Uint8Array(21))).rejects.toMatchObject({ code: "VALUE_TOO_LARGE" });
    const operations = (count: number) =>
      Array.from(
        { length: count },
        (_, i) => ({ type: "set", key: `${i}`, value: new Uint8Array(1) }) as const,
      );
    await db.batch(operations(3));
    await expect(db.batch(operations(4))).rejects.toMatchObject({ code: "COMMIT_TOO_LARGE" });
    expect(() => db.get("k".repeat(11))).toThrow(expect.objectContaining({ code: "KEY_TOO_LARGE" }));
  });

  test("wrong arguments are typed errors, and change nothing", async () => {
    await using db = await opened<unknown>();
    const wrong = (options: unknown) => db.set("k", 1, options as WriteOptions);
    await expect(wrong({ tll: 5 })).rejects.toMatchObject({ name: "TypeError", code: "UNKNOWN_OPTION" });
    await expect(wrong({ ttl: "5" })).rejects.toMatchObject({ name: "TypeError", code: "INVALID_ARGUMENT" });
    await expect(wrong({ ttl: 0 })).rejects.toMatchObject({ name: "RangeError", code: "INVALID_ARGUMENT" });
    await expect(wrong({ ttl: 1, expiresAt: 1 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(wrong({ durability: "sure" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(db.set("k", undefined)).rejects.toMatchObject({ code: "INVALID_VALUE" });
    await expect(db.set({} as Key, 1)).rejects.toMatchObject({ code: "INVALID_KEY" });
    await expect(db.batch([{ type: "put" } as never])).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const misspelt = { type: "set", key: "k", value: 1, tll: 5 } as const;
    await expect(db.batch([misspelt])).rejects.toMatchObject({ code: "UNKNOWN_OPTION" });
    expect(() => db.list({ limit: -1 })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(() => db.list({ from: "a" } as never)).toThrow(
      expect.objectContaining({ code: "UNKNOWN_OPTION" }),
    );
    expect(() => db.watch({}, 5 as never)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(db.version).toBe(0);
  });

  test("SEC: keys `__proto__`, `constructor`, `toString`, NUL, empty are keys like any other", async () => {
    await using db = await opened<unknown>();
    const names = ["__proto__", "constructor", "toString", "\u0000", ""];
    for (const name of names) await db.set(name, { name });
    for (const name of names) expect(db.get(name)).toEqual({ name });
    expect(new Set(db.keys())).toEqual(new Set(names));
    expect(({} as Record<string, unknown>).name).toBeUndefined();
  });

  test("a closed store says so, whatever is called, and closing again is fine", async () => {
    const db = await opened<number>();
    await db.set("k", 1);
    const iterator = db.list()[Symbol.iterator]();
    await Promise.all([db.close(), db.close()]);
    const closed = expect.objectContaining({ code: "CLOSED" });
    for (const call of [() => db.get("k"), () => db.list(), () => db.count(), () => db.digest()]) {
      expect(call).toThrow(closed);
    }
    expect(() => iterator.next()).toThrow(closed);
    for (const call of [
      () => db.set("k", 2),
      () => db.delete("k"),
      () => db.flush(),
      () => db.checkpoint(),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "CLOSED" });
    }
    expect(db.status().state).toBe("closed");
  });
});

test("wrong options of open are refused before anything is touched", async () => {
  const bad: [unknown, string][] = [
    [{ durabilty: "full" }, "UNKNOWN_OPTION"],
    [{ durability: "paranoid" }, "INVALID_ARGUMENT"],
    [{ codec: "xml" }, "INVALID_ARGUMENT"],
    [{ limits: { keyBytesMax: 5000 } }, "INVALID_ARGUMENT"],
    [{ limits: { keys: 1 } }, "UNKNOWN_OPTION"],
    [{ segmentBytes: 10 }, "INVALID_ARGUMENT"],
    [{ name: "x".repeat(256) }, "INVALID_ARGUMENT"],
    [{ checkpoint: { everyDay: 1 } }, "UNKNOWN_OPTION"],
    ["relaxed", "INVALID_ARGUMENT"],
  ];
  for (const [options, code] of bad) {
    await expect(open(undefined, options as OpenOptions)).rejects.toMatchObject({ code });
  }
  await expect(open("")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(open(5 as never)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});
