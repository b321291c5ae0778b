import { expect, test } from "vitest";
import { type Codec, open, type Store } from "../../src/index.js";

test("a codec with one buffer for both ways: what is written is what was given, with the value before", async () => {
  const shared = new Uint8Array(64);
  const codec: Codec<string> = {
    name: "one buffer",
    encode: (text) => shared.subarray(0, new TextEncoder().encodeInto(text, shared).written),
    decode: (bytes) => {
      shared.set(bytes);
      return new TextDecoder().decode(shared.subarray(0, bytes.length));
    },
  };
  await using db = await open<string>(undefined, { codec });
  await db.set("k", "before");
  expect(await db.set("k", "after!", { previous: true })).toMatchObject({ previous: { value: "before" } });
  expect(db.get("k")).toBe("after!");
});

/** A store that is full, so that each write of a new key evicts something before it. */
async function fullCache(codec?: Codec<string>): Promise<Store<string>> {
  const options = { maxMemory: 1024 * 1024, eviction: "lru", ...(codec && { codec }) } as const;
  const db = await open<string>(undefined, options);
  for (let n = 0; db.status().memory.evicted.entries === 0; n++)
    await db.set(`fill ${n}`, "x".repeat(20_000));
  return db;
}

test("a listener that writes when room is made for a commit comes after that commit", async () => {
  const works: [string, (db: Store<string>) => Promise<unknown>][] = [
    ["create", (db) => db.create("target", "decided".repeat(3000))],
    ["compareAndSwap", (db) => db.compareAndSwap("target", undefined, "decided".repeat(3000))],
    [
      "check",
      (db) =>
        db.atomic().check({ key: "target", exists: false }).set("target", "decided".repeat(3000)).commit(),
    ],
    [
      "transact",
      (db) =>
        db.transact((tx) => {
          if (tx.get("target") === undefined) tx.set("target", "decided".repeat(3000));
        }),
    ],
  ];
  for (const [name, work] of works) {
    let met = 0;
    for (let n = 0; n < 20; n++) {
      await using db = await fullCache();
      let done: Promise<unknown> | undefined;
      const seen: unknown[] = [];
      db.watch("target", ({ changes }) => seen.push(changes[0].value?.slice(0, 7)));
      db.watch({ prefix: "fill" }, ({ changes }) => {
        if (changes[0].reason !== "evicted" || done !== undefined) return;
        done = db.create("target", "listener");
        met++;
      });
      for (let i = 0; i < n; i++) await db.set(`more ${i}`, "y".repeat(1000));
      if (done !== undefined) continue;
      await work(db);
      await done;
      // Whoever comes second finds what the first one made.
      expect(seen.slice(0, 2), name).toEqual(["decided"]);
    }
    expect(met, name).toBeGreaterThan(0);
  }
});

test("bytes that belong to a codec are those of the write, when a listener writes while room is made", async () => {
  const shared = new Uint8Array(64 * 1024);
  const codec: Codec<string> = {
    name: "one buffer",
    encode: (text) => shared.subarray(0, new TextEncoder().encodeInto(text, shared).written),
    decode: (bytes) => new TextDecoder().decode(bytes),
  };
  await using db = await fullCache(codec);
  let done: Promise<unknown> | undefined;
  db.watch({ prefix: "fill" }, () => {
    done ??= db.set("listener", "l".repeat(20_000));
  });
  for (let n = 0; done === undefined; n++) {
    await db.set(`mine ${n}`, "m".repeat(20_000));
    expect(db.get(`mine ${n}`)?.slice(0, 9)).toBe("mmmmmmmmm");
  }
  await done;
});
