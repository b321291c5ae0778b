import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { open, type Store } from "fulmar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FulmarLevel } from "../../src/abstract-level/index.js";

describe("a database in memory", () => {
  let db: FulmarLevel;

  beforeEach(async () => {
    db = new FulmarLevel(undefined, { store: { limits: { commitEntriesMax: 100 } } });
    await db.open();
  });

  afterEach(() => db.close());

  it("says what it can", () => {
    expect(db.supports).toMatchObject({
      implicitSnapshots: true,
      explicitSnapshots: true,
      has: true,
      seek: true,
      permanence: false,
      createIfMissing: false,
      errorIfExists: false,
      deferredOpen: true,
      signals: { iterators: true },
      encodings: { utf8: true, buffer: true, view: true, json: true },
    });
  });

  it("orders any keys by their bytes, the empty one first", async () => {
    const bytes = fc.uniqueArray(fc.uint8Array({ maxLength: 6 }), {
      selector: (key) => key.join(),
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.uint8Array({ maxLength: 6 }),
        fc.boolean(),
        async (keys, target, reverse) => {
          const encoding = { keyEncoding: "view", valueEncoding: "view" } as const;
          await db.clear();
          await db.batch(
            keys.map((key) => ({ type: "put", key, value: key }) as const),
            encoding,
          );
          const inOrder = keys.toSorted(Buffer.compare);
          if (reverse) inOrder.reverse();
          expect(await db.keys({ ...encoding, reverse }).all()).toEqual(inOrder);
          const iterator = db.values<Uint8Array, Uint8Array>({ ...encoding, reverse });
          iterator.seek(target);
          const sign = reverse ? -1 : 1;
          expect(await iterator.all()).toEqual(
            inOrder.filter((key) => sign * Buffer.compare(key, target) >= 0),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it("takes back a whole batch that cannot be", async () => {
    const tooLong = "k".repeat(4096);
    const operations = ["a", tooLong].map((key) => ({ type: "put", key, value: "v" }) as const);
    await expect(db.batch(operations)).rejects.toMatchObject({ code: "KEY_TOO_LARGE" });
    expect(await db.keys().all()).toEqual([]);
    await db.put(tooLong.slice(1), "v");
  });

  it("clears more than one commit holds, and not what is written meanwhile", async () => {
    for (let from = 0; from < 250; from += 50) {
      await db.batch(
        Array.from(
          { length: 50 },
          (_, index) => ({ type: "put", key: `${from + index}`, value: "v" }) as const,
        ),
      );
    }
    const snapshot = db.snapshot();
    await db.clear({ limit: 101, snapshot });
    expect((await db.keys().all()).length).toBe(149);
    const cleared = db.clear({ durability: "memory" });
    await Promise.all([cleared, db.put("0", "new")]);
    expect(await db.iterator().all()).toEqual([["0", "new"]]);
    expect((await db.keys({ snapshot }).all()).length).toBe(250);
    await snapshot.close();
  });

  it("gives writes a deadline", async () => {
    // From the beginning: the store may find it expired before anything else happens here.
    const expired = new Promise<void>((resolve) => {
      const watch = db.store.watch({}, ({ changes }) => {
        if (!changes.some(({ reason }) => reason === "expired")) return;
        watch.close();
        resolve();
      });
    });
    await db.put("put", "v", { ttl: 3_600_000 });
    await db.batch([{ type: "put", key: "batch", value: "v" }], { ttl: 1 });
    await db.sublevel("sub").put("put", "v");
    const key = (text: string) => new TextEncoder().encode(text);
    expect(await db.store.ttl(key("put"))).toBeGreaterThan(1_800_000);
    expect(await db.store.ttl(key("put"))).toBeLessThanOrEqual(3_600_000);
    expect(await db.store.ttl(key("!sub!put"))).toBe(Number.POSITIVE_INFINITY);
    await expired;
    expect(await db.get("batch")).toBeUndefined();
    expect(await db.has("put")).toBe(true);
  });

  it("hands the durability of each kind of write on", async () => {
    const options = { durability: "none such" as "full" };
    const refused = { code: "INVALID_ARGUMENT" };
    await db.put("a", "v", { durability: "memory" });
    await expect(db.put("b", "v", options)).rejects.toMatchObject(refused);
    await expect(db.del("a", options)).rejects.toMatchObject(refused);
    await expect(db.batch([{ type: "del", key: "a" }], options)).rejects.toMatchObject(refused);
    await expect(db.clear(options)).rejects.toMatchObject(refused);
    expect(await db.keys().all()).toEqual(["a"]);
  });

  it("lets the event loop turn while all is listed, and be told to stop", async () => {
    for (let index = 0; index < 3000; index += 100) {
      await db.batch(
        Array.from(
          { length: 100 },
          (_, step) => ({ type: "put", key: `${index + step}`, value: "" }) as const,
        ),
      );
    }
    let turns = 0;
    let immediate = setImmediate(function turn() {
      turns += 1;
      immediate = setImmediate(turn);
    });
    let entries = 0;
    for await (const _ of db.iterator()) entries += 1;
    const turnsOneByOne = turns;
    expect((await db.keys().all()).length).toBe(3000);
    clearImmediate(immediate);
    expect(entries).toBe(3000);
    expect(turnsOneByOne).toBeGreaterThanOrEqual(2);
    expect(turns).toBeGreaterThanOrEqual(turnsOneByOne + 2);

    const controller = new AbortController();
    const reason = new Error("enough");
    setImmediate(() => controller.abort(reason));
    await expect(db.iterator({ signal: controller.signal }).all()).rejects.toMatchObject({
      name: "AbortError",
      code: "LEVEL_ABORTED",
      cause: reason,
    });
  });

  it("lets go of every state that an iterator stood on", async () => {
    await db.put("a", "1");
    const abandoned = db.iterator();
    await abandoned.next();
    for await (const _ of db.iterator()) break;
    await db.values().all();
    await abandoned.close();
    await db.put("a", "2");
    await db.put("a", "3");
    expect(db.store.status().memory.oldVersions).toBe(0);
  });

  it("refuses a snapshot that is not one of its own", async () => {
    const foreign = { ref: () => undefined, unref: () => undefined } as never;
    await expect(db.get("a", { snapshot: foreign })).rejects.toThrow(/snapshot of this database/);
  });

  it("has a store only while it is open", async () => {
    expect(db.store.status().state).toBe("open");
    await db.close();
    expect(() => db.store).toThrow(expect.objectContaining({ code: "LEVEL_DATABASE_NOT_OPEN" }));
  });
});

describe("a database on a store that is open already", () => {
  let store: Store<Uint8Array>;

  beforeEach(async () => {
    store = await open<Uint8Array>(undefined, { codec: "bytes" });
  });

  afterEach(() => store.close());

  it("leaves keys of other kinds alone, and the store open", async () => {
    const db = new FulmarLevel(store);
    await store.set("a string", Uint8Array.of(1));
    await store.set(["a", "tuple"], Uint8Array.of(1));
    await db.put("k", "v");
    expect(await db.keys().all()).toEqual(["k"]);
    expect(store.get(new TextEncoder().encode("k"))).toEqual(new TextEncoder().encode("v"));
    await db.clear();
    expect([...store.keys()]).toEqual(["a string", ["a", "tuple"]]);
    await db.close();
    await db.open();
    await db.close();
    expect(store.status().state).toBe("open");
  });
});

describe("a database in a directory", () => {
  let parent: string;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "fulmar-level-"));
  });

  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  it("is there again after it was closed, for itself and for the next", async () => {
    const directory = join(parent, "deep", "data");
    const first = new FulmarLevel<string, unknown>(directory, { valueEncoding: "json" });
    expect(first.supports).toMatchObject({ permanence: true, createIfMissing: true, errorIfExists: true });
    await first.put("a", { b: [1] }, { durability: "full" });
    await first.close();
    await first.open({ createIfMissing: false });
    await first.close();
    const second = new FulmarLevel<string, unknown>(directory, { valueEncoding: "json" });
    expect(await second.get("a")).toEqual({ b: [1] });
    await expect(second.open({ createIfMissing: false })).resolves.toBeUndefined();
    const third = new FulmarLevel(directory);
    await expect(third.open()).rejects.toMatchObject({ cause: { code: "LOCKED" } });
    await second.close();
  });

  it("is not made where the caller does not want it", async () => {
    const db = new FulmarLevel(join(parent, "none"), { createIfMissing: false });
    await expect(db.open()).rejects.toMatchObject({ code: "LEVEL_DATABASE_NOT_OPEN" });
    await expect(db.open({ createIfMissing: true, errorIfExists: true })).resolves.toBeUndefined();
    await db.close();
  });
});
