import { subscribe } from "node:diagnostics_channel";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, type Store } from "fulmar";
import {
  createStorage,
  prefixStorage,
  restoreSnapshot,
  type Storage,
  type StorageValue,
  snapshot,
} from "unstorage";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type FulmarDriverOptions, fulmarDriver } from "../../src/unstorage/index.js";

let store: Store<Uint8Array>;

beforeEach(async () => {
  store = await open<Uint8Array>(undefined, { codec: "bytes" });
});

afterEach(async () => {
  vi.useRealTimers();
  await store.close();
});

function storageOf(options: FulmarDriverOptions = {}): Storage {
  return createStorage({ driver: fulmarDriver({ store, ...options }) });
}

describe.each([[undefined], ["base"], ["two:parts:"]])("a storage with base %s", (base) => {
  let storage: Storage;

  beforeEach(async () => {
    storage = storageOf(base === undefined ? {} : { base });
  });

  it("is empty at first", async () => {
    expect(await storage.hasItem("a:b")).toBe(false);
    expect(await storage.getItem("a:b")).toBeNull();
    expect(await storage.getItemRaw("a:b")).toBeNull();
    expect(await storage.getKeys()).toEqual([]);
    expect(await storage.getMeta("a:b")).toEqual({});
    await storage.clear();
  });

  it("sets, gets and removes items", async () => {
    await storage.setItem("a:b", "text");
    await storage.setItem("a/c?query=1", "normalized");
    expect(await storage.hasItem("a:b")).toBe(true);
    expect(await storage.getItem("a:b")).toBe("text");
    expect(await storage.getItem("a:c")).toBe("normalized");
    await storage.removeItem("a:b");
    await storage.removeItem("a:b");
    expect(await storage.hasItem("a:b")).toBe(false);
    expect(await storage.getItem("a:b")).toBeNull();
  });

  it.each([[0], [false], [true], [""], ["\uFEFFa bom"], [{ deep: [1, { x: null }] }], [null]])(
    "gives %j back",
    async (value) => {
      await storage.setItem("v", value);
      expect(await storage.getItem("v")).toEqual(value);
    },
  );

  it("takes what toJSON gives, and refuses what has no text", async () => {
    class Date2 {
      toJSON() {
        return { made: "of text" };
      }
    }
    class Opaque {}
    await storage.setItem("v", new Date2());
    expect(await storage.getItem("v")).toEqual({ made: "of text" });
    await expect(storage.setItem("v", new Opaque())).rejects.toThrow("stringify");
  });

  it("holds raw bytes as they are", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    await storage.setItemRaw("raw", bytes);
    expect(await storage.getItemRaw("raw")).toEqual(bytes);
    await storage.setItemRaw("raw", Buffer.from(bytes.buffer, 10, 5));
    expect(await storage.getItemRaw("raw")).toEqual(bytes.slice(10, 15));
    await storage.setItemRaw("raw", bytes.slice(0, 3).buffer);
    expect(await storage.getItemRaw("raw")).toEqual(bytes.slice(0, 3));
    await storage.setItemRaw("raw", "text");
    expect(await storage.getItem("raw")).toBe("text");
    await expect(storage.setItemRaw("raw", { not: "bytes" })).rejects.toThrow(TypeError);
  });

  it("lists keys below a base, to a depth", async () => {
    for (const key of ["top", "a:x", "a:b:y", "ab:z", "a$"]) await storage.setItem(key, 1);
    expect((await storage.getKeys()).sort()).toEqual(["a:b:y", "a:x", "ab:z", "top"]);
    expect(await storage.getKeys("a")).toEqual(["a:b:y", "a:x"]);
    expect(await storage.getKeys("a:b")).toEqual(["a:b:y"]);
    expect(await storage.getKeys("nothing")).toEqual([]);
    expect(await storage.getKeys(undefined, { maxDepth: 0 })).toEqual(["top"]);
    expect((await storage.getKeys(undefined, { maxDepth: 1 })).sort()).toEqual(["a:x", "ab:z", "top"]);
  });

  it("clears what is below a base", async () => {
    for (const key of ["top", "a:x", "a:b:y", "ab:z"]) await storage.setItem(key, 1);
    // The storage itself asks a driver for this only below mounts.
    await storage.getMount().driver.clear?.("a", {});
    expect((await storage.getKeys()).sort()).toEqual(["ab:z", "top"]);
    await storage.clear();
    expect(await storage.getKeys()).toEqual([]);
  });

  it("gets and sets many", async () => {
    const versionBefore = store.version;
    await storage.setItems<StorageValue>([
      { key: "t:1", value: "one" },
      { key: "t:2", value: { two: 2 } },
    ]);
    expect(store.version).toBe(versionBefore + 1);
    expect(await storage.getItems(["t:1", { key: "t:2" }, "t:3"])).toEqual([
      { key: "t:1", value: "one" },
      { key: "t:2", value: { two: 2 } },
      { key: "t:3", value: null },
    ]);
  });

  it("can be copied, and mounted under a prefix", async () => {
    await restoreSnapshot(storage, { "a:b": "1", c: "2" });
    expect(await snapshot(storage, "")).toEqual({ "a:b": 1, c: 2 });
    expect(await prefixStorage(storage, "a").getItem("b")).toBe(1);
    const outer = createStorage().mount("in", storage.getMount().driver);
    expect(await outer.getKeys("in")).toEqual(["in:a:b", "in:c"]);
  });

  it("tells of changes by whomever, until it is told not to", async () => {
    const prefix = base === undefined ? "" : `${base.replace(/:$/, "")}:`;
    const events: string[] = [];
    const unwatch = await storage.watch((event, key) => events.push(`${event} ${key}`));
    await storage.setItem("a:b", 1);
    await storage.removeItem("a:b");
    await store.set(`${prefix}c`, Uint8Array.of(49));
    await store.set(["not", "an", "item"], Uint8Array.of(49));
    await storage.clear();
    await unwatch();
    await storage.setItem("d", 1);
    expect(events).toEqual(["update a:b", "remove a:b", "update c", "remove c"]);
  });
});

describe("the driver", () => {
  it("keeps two bases apart", async () => {
    const [one, two] = [storageOf({ base: "app" }), storageOf({ base: "app2" })];
    const events: string[] = [];
    await one.watch((event, key) => events.push(`${event} ${key}`));
    await one.setItem("k", 1);
    await two.setItem("k", 2);
    await one.clear();
    expect(await one.getKeys()).toEqual([]);
    expect(await two.getItem("k")).toBe(2);
    expect(events).toEqual(["update k", "remove k"]);
    expect([...store.keys()]).toEqual(["app2:k"]);
  });

  it("gives deadlines to the store: seconds, of the item before those of the driver", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const storage = storageOf({ ttl: 100 });
    await storage.setItem("default", 1);
    await storage.setItem("own", 1, { ttl: 10.5 });
    await storage.setItem("for ever", 1, { ttl: 0 });
    await storage.setItemRaw("raw", Uint8Array.of(1), { ttl: 10 });
    await storage.setItems([{ key: "many", value: 1, options: { ttl: 5 } }], { ttl: 50 });
    const left = async (key: string) => (await storage.getMeta(key)).ttl ?? 0;
    expect(await left("default")).toBe(100);
    expect(await left("own")).toBe(10.5);
    expect(await left("for ever")).toBe(0);
    expect(await left("raw")).toBe(10);
    expect(await left("many")).toBe(5);
  });

  it("tells of an item that expires", async () => {
    const storage = storageOf();
    const removed = new Promise((resolve) => {
      void storage.watch((event, key) => event === "remove" && resolve(key));
    });
    await storage.setItem("soon", 1, { ttl: 0.001 });
    expect(await removed).toBe("soon");
    expect(await storage.hasItem("soon")).toBe(false);
  });

  it("knows when an item was written and how long it is, beside what setMeta says", async () => {
    const storage = storageOf();
    const beforeMs = Date.now();
    await storage.setItem("k", "äöü");
    const meta = await storage.getMeta("k");
    expect(meta.size).toBe(6);
    expect(meta.ttl).toBeUndefined();
    expect(meta.mtime).toBeInstanceOf(Date);
    expect(Math.abs((meta.mtime?.getTime() ?? 0) - beforeMs)).toBeLessThan(60_000);
    await storage.setMeta("k", { note: "mine" });
    expect(await storage.getMeta("k")).toMatchObject({ size: 6, note: "mine" });
    expect(await storage.getKeys()).toEqual(["k"]);
    await storage.removeItem("k", { removeMeta: true });
    expect(await storage.getMeta("k")).toEqual({});
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("mine");
      },
    ],
    ["rejects", () => Promise.reject(new Error("mine"))],
  ])("tells of every change, also a function that %s; the store says so", async (_, fail) => {
    const driver = fulmarDriver({ store });
    const keys: string[] = [];
    await driver.watch((_event, key) => {
      keys.push(key);
      return fail();
    });
    const reported = new Promise((resolve) => subscribe("fulmar:watch-error", resolve));
    await driver.setItems(
      ["a", "b", "c"].map((key) => ({ key, value: "1" })),
      {},
    );
    expect(keys).toEqual(["a", "b", "c"]);
    expect(await reported).toMatchObject({ error: { message: "mine" } });
  });

  it("leaves a store open that it did not open, and ends its watches", async () => {
    const driver = fulmarDriver({ store });
    const events: string[] = [];
    await driver.watch((event) => events.push(event));
    await driver.dispose();
    await driver.dispose();
    await store.set("k", Uint8Array.of(1));
    expect(events).toEqual([]);
    expect(await driver.getInstance()).toBe(store);
  });

  it("keeps items in a directory, and lets go of it", async () => {
    const directory = mkdtempSync(join(tmpdir(), "fulmar-unstorage-"));
    try {
      const first = storageOf({ store: directory, open: { durability: "relaxed" } });
      await Promise.all([first.setItem("a", { kept: true }), first.setItem("b", 1)]);
      await first.dispose();
      const second = storageOf({ store: directory });
      expect(await second.getItem("a")).toEqual({ kept: true });
      await second.dispose();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
