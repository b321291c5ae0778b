import { describe, expect, test } from "vitest";
import { type Codec, type Namespace, open, type Store, type WatchStream } from "../../../src/index.js";
import { brief, errorOf, machine, openOn, rest, take } from "./support.js";

const LIMITS = { commits: 5, bytes: 1 << 20 };

/** A store with two namespaces that hold keys of the same names, one with a codec of its own. */
function parts(db: Store<string>): { a: Namespace<string>; n: Namespace<number> } {
  return { a: db.namespace<string>("a"), n: db.namespace<number>("a\u0000", { codec: "json" }) };
}

/** Commits that change the store and its namespaces, each alone and together. */
async function written(db: Store<string>, count: number): Promise<void> {
  const { a, n } = parts(db);
  for (let i = 1; i <= count; i++) {
    const key = `k${i % 3}`;
    if (i % 5 === 0) await db.set(key, `store ${i}`);
    else if (i % 5 === 1) await a.set(key, `a ${i}`);
    else if (i % 5 === 2) await n.set(key, i);
    else if (i % 5 === 3)
      await db.atomic().set(key, `all ${i}`).in(a).set(key, `all ${i}`).in(n).set(key, i).commit();
    else {
      await db.transact((tx) => {
        tx.in(a).delete(key);
        tx.in(n).delete(key);
      });
    }
  }
}

/** What a part of the store is to be shown of {@link written}. */
function expected(part: "a" | "n" | "store", from: number, to: number): unknown[][] {
  const shown: unknown[][] = [];
  for (let i = from; i <= to; i++) {
    const key = `k${i % 3}`;
    const kinds = {
      store: { 0: `store ${i}`, 3: `all ${i}` },
      a: { 1: `a ${i}`, 3: `all ${i}`, 4: "deleted" },
      n: { 2: i, 3: i, 4: "deleted" },
    };
    const value = (kinds[part] as Record<number, unknown>)[i % 5];
    if (value !== undefined) shown.push([i, key, value]);
  }
  return shown;
}

describe("a watch of a namespace", () => {
  test.each([false, true])(
    "is shown its part of each commit, live and since any version (durable: %s)",
    async (isDurable) => {
      const storage = machine();
      const db = isDurable ? await openOn(storage) : await open<string>(undefined, { codec: "text" });
      const { a, n } = parts(db);
      const first = { a: a.watch({}), n: n.watch({}), store: db.watch({}) };
      await written(db, 60);
      for (const part of ["a", "n", "store"] as const) {
        const shown = expected(part, 1, 60);
        expect((await take<unknown>(first[part], shown.length)).map(brief), part).toEqual(shown);
      }
      let again = db;
      if (isDurable) {
        storage.kill();
        again = await openOn(storage);
      }
      const later = parts(again);
      const live: WatchStream<number>[] = [];
      for (const since of [0, 1, 17, 59, 60]) {
        const streams = { a: later.a.watch({}, { since, limits: LIMITS }), n: later.n.watch({}, { since }) };
        for (const part of ["a", "n"] as const) {
          const shown = expected(part, since + 1, 60);
          expect((await take<unknown>(streams[part], shown.length)).map(brief), `${part} ${since}`).toEqual(
            shown,
          );
        }
        const one = later.n.watch("k1", { since });
        const ones = expected("n", since + 1, 60).filter(([, key]) => key === "k1");
        expect((await take(one, ones.length)).map(brief)).toEqual(ones);
        streams.a.close();
        one.close();
        live.push(streams.n);
      }
      // They go over to live commits.
      await later.n.set("live", 1);
      for (const stream of live)
        expect((await take(stream, 1)).map(brief)).toEqual([[again.version, "live", 1]]);
      await again.close();
    },
  );

  test("that resumes shows the same as one that was there: stamps, deadlines, reasons", async () => {
    const storage = machine();
    const db = await openOn(storage);
    const short = db.namespace<string>("short", { ttl: 60_000 });
    const live = short.watch({});
    await short.set("k", "1");
    await short.set("k", "2", { ttl: Number.POSITIVE_INFINITY });
    await short.delete("k");
    await db.batch([{ type: "set", key: "k", value: "not shown" }]);
    await short.clear();
    const seen = await take(live, 3);
    expect(seen.map(({ changes }) => changes.map(({ reason }) => reason))).toEqual([
      ["written"],
      ["written"],
      ["deleted"],
    ]);
    expect(seen.map(({ changes }) => changes[0].expiresAt === undefined)).toEqual([false, true, true]);
    storage.kill();
    const again = await openOn(storage);
    const past = await take(again.namespace<string>("short").watch({}, { since: 0 }), 3);
    expect(past).toEqual(seen);
    await again.close();
  });

  test("coalesces what is of its own, with the latest of each key, whatever others write", async () => {
    await using db = await open<string>(undefined, { codec: "text" });
    const { a, n } = parts(db);
    const live = n.watch({}, { coalesce: true });
    const others = [a.watch({}, { coalesce: true }), db.watch({}, { coalesce: true })];
    await n.set("k", 1);
    await a.set("k", "a");
    await n.set("j", 2);
    await db.set("k", "store");
    await db.atomic().in(n).set("k", 3).in(a).set("j", "b").commit();
    await db.set("last", "store");
    expect((await take(live, 1)).map(brief)).toEqual([[5, "j", 2, "k", 3]]);
    expect((await take(others[0], 1)).map(brief)).toEqual([[5, "k", "a", "j", "b"]]);
    expect((await take(others[1], 1)).map(brief)).toEqual([[6, "k", "store", "last", "store"]]);
    const past = n.watch({}, { since: 0, coalesce: true });
    expect((await take(past, 1)).map(brief)).toEqual([[5, "j", 2, "k", 3]]);
  });

  test("waits within its limits, which others do not fill, and is fed from the history beyond them", async () => {
    await using db = await open<string>(undefined, { codec: "text" });
    const { a, n } = parts(db);
    const slow = n.watch({}, { limits: LIMITS });
    // Nothing of this waits for it.
    for (let i = 0; i < 100; i++) await a.set(i, "x".repeat(20_000));
    const shown: unknown[][] = [];
    for (let i = 1; i <= 30; i++) {
      const { version } = await n.set(i % 4, i);
      await a.set("between", "y");
      shown.push([version, i % 4, i]);
    }
    expect((await take(slow, 12)).map(brief)).toEqual(shown.slice(0, 12));
    await n.set("more", 1);
    shown.push([db.version, "more", 1]);
    expect((await take(slow, 19)).map(brief)).toEqual(shown.slice(12));
    await n.set("live", 1);
    expect((await take(slow, 1)).map(brief)).toEqual([[db.version, "live", 1]]);
  });

  test("is told of a gap when others wrote what pushed its commits out, and misses nothing behind it", async () => {
    await using db = await open<string>(undefined, { historyBytes: 4096, codec: "text" });
    const { a, n } = parts(db);
    const slow = n.watch({}, { limits: { commits: 1 } });
    await n.set("k", 1);
    await n.set("k", 2);
    for (let i = 0; i < 100; i++) await a.set(i, "x".repeat(200));
    const [first, gap] = await take(slow, 2);
    expect(brief(first)).toEqual([1, "k", 1]);
    expect(brief(gap)).toEqual([db.version, "gap", 1, db.version]);
    expect(n.get("k")).toBe(2);
    await n.set("k", 3);
    expect((await take(slow, 1)).map(brief)).toEqual([[db.version, "k", 3]]);
  });

  test("is COMPACTED when what follows its version is not kept, whoever wrote it", async () => {
    await using db = await open<string>(undefined, { historyBytes: 4096, codec: "text" });
    const { a, n } = parts(db);
    await n.set("k", 1);
    for (let i = 0; i < 100; i++) await a.set(i, "x".repeat(200));
    const { version } = db;
    const { oldest } = db.status().history;
    for (const since of [0, 1, oldest - 1, version + 1]) {
      expect(await errorOf(n.watch("k", { since }).next())).toMatchObject({
        code: "COMPACTED",
        details: { since, version, oldest },
      });
    }
    const exact = n.watch("k", { since: version });
    await n.set("k", 2);
    expect((await take(exact, 1)).map(brief)).toEqual([[version + 1, "k", 2]]);
  });

  test("ends by signal, close, and with the store", async () => {
    const db = await open<string>(undefined, { codec: "text" });
    const { a, n } = parts(db);
    const stop = new AbortController();
    const [stopped, closed, kept] = [n.watch({}, { signal: stop.signal }), a.watch({}), n.watch({})];
    const pending = errorOf(stopped.next());
    await n.set("k", 1);
    closed.close();
    await a.set("k", "not shown");
    stop.abort();
    // It was there before the signal.
    await expect(pending).rejects.toThrow("it did not fail");
    expect(await errorOf(stopped.next())).toMatchObject({ code: "ABORTED" });
    expect(await rest(closed)).toEqual([]);
    await db.close();
    expect((await rest(kept)).map(brief)).toEqual([[1, "k", 1]]);
    expect(() => n.watch({})).toThrow(expect.objectContaining({ code: "CLOSED" }));
  });
});

describe("values that the codec of a namespace cannot decode", () => {
  const picky: Codec<string> = {
    name: "picky",
    encode: (text) => new TextEncoder().encode(text),
    decode: (bytes) => {
      const text = new TextDecoder().decode(bytes);
      if (text.includes("?")) throw new TypeError("what is this");
      return text;
    },
  };

  test("throw where they are looked at, and neither end the watch nor hide the others", async () => {
    await using db = await open<string>(undefined, { codec: "text" });
    const n = db.namespace<string>("n", { codec: picky });
    const raw = db.namespace<string>("n");
    const json = db.namespace<number>("n", { codec: "json" });
    const stream = n.watch({});
    const seen: unknown[] = [];
    n.watch({}, ({ changes }) => seen.push(...changes.map(({ key }) => key)));
    await raw.batch([
      { type: "set", key: "a", value: "good" },
      { type: "set", key: "b", value: "bad?" },
      { type: "set", key: "c", value: "good, too" },
    ]);
    await raw.set("d", "1");
    const [first, second] = await take(stream, 2);
    expect(first.changes.map(({ key }) => key)).toEqual(["a", "b", "c"]);
    expect(first.changes[0].value).toBe("good");
    expect(() => first.changes[1].value).toThrow("what is this");
    expect(first.changes[2].value).toBe("good, too");
    expect(second.changes[0].value).toBe("1");
    expect(seen).toEqual(["a", "b", "c", "d"]);
    expect([...n.keys()]).toEqual(["a", "b", "c", "d"]);
    expect([n.count(), n.has("b"), n.get("c")]).toEqual([4, true, "good, too"]);
    expect(() => n.get("b")).toThrow("what is this");
    const listing = n.list()[Symbol.iterator]();
    expect(listing.next().value).toMatchObject({ key: "a" });
    expect(() => listing.next()).toThrow("what is this");
    expect([...n.list({ gt: "b" })].map(({ key }) => key)).toEqual(["c", "d"]);
    // A codec of ours says so by its code.
    expect(() => json.get("a")).toThrow(expect.objectContaining({ code: "INVALID_VALUE" }));
    expect(json.get("d")).toBe(1);
    const past = await take(json.watch({}, { since: 0 }), 2);
    expect(() => past[0].changes[0].value).toThrow(expect.objectContaining({ code: "INVALID_VALUE" }));
    expect(past[1].changes[0].value).toBe(1);
    // It can be replaced and deleted like any other.
    await n.set("b", "good now");
    expect([...n.values()]).toEqual(["good", "good now", "good, too", "1"]);
  });
});
