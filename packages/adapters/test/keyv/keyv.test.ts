import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, type Store } from "fulmar";
import { Keyv } from "keyv";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FulmarKeyv } from "../../src/keyv/index.js";

describe("a Keyv on a store", () => {
  let store: Store;

  beforeEach(async () => {
    store = await open();
  });

  afterEach(() => store.close());

  it("gives expiry to the store, in whole ms", async () => {
    const keyv = new Keyv({ store: new FulmarKeyv(store), namespace: "n" });
    await keyv.set("a", 1, 3_600_000.5);
    await keyv.set("for ever", 1);
    const left = (await store.ttl("n:a")) ?? 0;
    expect(left).toBeGreaterThan(1_800_000);
    expect(left).toBeLessThanOrEqual(3_600_001);
    expect(await store.ttl("n:for ever")).toBe(Number.POSITIVE_INFINITY);
  });

  it("writes and deletes many as one commit each", async () => {
    const keyv = new Keyv({ store: new FulmarKeyv(store), namespace: "n" });
    const commits: number[] = [];
    const watch = store.watch({}, ({ changes }) => commits.push(changes.length));
    expect(
      await keyv.setMany([
        { key: "a", value: 1 },
        { key: "b", value: 2, ttl: 60_000 },
        { key: "c", value: 3 },
      ]),
    ).toEqual([true, true, true]);
    expect(await keyv.getMany(["a", "b", "x"])).toEqual([1, 2, undefined]);
    expect(await keyv.hasMany(["a", "x"])).toEqual([true, false]);
    expect(await keyv.deleteMany(["a", "x"])).toBe(false);
    expect(await keyv.deleteMany(["b", "c"])).toBe(true);
    watch.close();
    expect(commits).toEqual([3, 1, 2]);
  });

  it("clears its namespace, and leaves keys of other kinds", async () => {
    const keyv = new Keyv({ store: new FulmarKeyv(store), namespace: "n" });
    await keyv.set("a", 1);
    await store.set("nn:a", 1);
    await store.set(["n", "a"], 1);
    await keyv.clear();
    expect([...store.keys()]).toEqual(["nn:a", ["n", "a"]]);
  });

  it("iterates in order of key", async () => {
    const keyv = new Keyv({ store: new FulmarKeyv(store), namespace: "n" });
    for (const key of ["c", "a", "b"]) await keyv.set(key, key.toUpperCase());
    const found: unknown[] = [];
    for await (const entry of keyv.iterator?.({}) ?? []) found.push(entry);
    expect(found).toEqual([
      ["a", "A"],
      ["b", "B"],
      ["c", "C"],
    ]);
  });

  it("emits what fails", async () => {
    const keyv = new Keyv({ store: new FulmarKeyv(store) });
    const errors: unknown[] = [];
    keyv.on("error", (error: { code?: string }) => errors.push(error.code));
    await store.close();
    expect(await keyv.get("a")).toBeUndefined();
    expect(await keyv.set("a", 1)).toBe(false);
    expect(errors).toEqual(["CLOSED", "CLOSED"]);
  });

  it("leaves a store open that it did not open", async () => {
    const keyv = new Keyv({ store: new FulmarKeyv(store) });
    await keyv.set("a", 1);
    await keyv.disconnect();
    expect(store.status().state).toBe("open");
  });
});

describe("a Keyv on a directory", () => {
  let parent: string;

  it("has nothing to close where that could not be opened, which the call says that wanted it", async () => {
    const adapter = new FulmarKeyv(join(parent, "file", "store"));
    writeFileSync(join(parent, "file"), "");
    const reading = adapter.get("a");
    const [read, disconnected] = await Promise.allSettled([reading, adapter.disconnect()]);
    expect(read).toMatchObject({ status: "rejected", reason: { code: "PATH_UNUSABLE" } });
    expect(disconnected.status).toBe("fulfilled");
  });

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "fulmar-keyv-"));
  });

  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  it("keeps what was set, and lets go of the directory", async () => {
    const directory = join(parent, "cache");
    const first = new Keyv({ store: new FulmarKeyv(directory) });
    await Promise.all([first.set("a", { deep: [1] }), first.set("b", 2)]);
    await first.disconnect();
    const second = new Keyv({ store: new FulmarKeyv(directory) });
    expect(await second.get("a")).toEqual({ deep: [1] });
    await second.disconnect();
    expect(await second.get("b")).toBe(2);
    await second.disconnect();
  });

  it("opens again while it lets go of the directory", async () => {
    const keyv = new FulmarKeyv(join(parent, "cache"));
    for (let round = 0; round < 3; round++) {
      await keyv.set("a", round);
      const done = keyv.disconnect();
      expect(await keyv.get("a")).toBe(round);
      await done;
    }
    await keyv.disconnect();
  });

  it("opens again after a refusal", async () => {
    const holder = await open(parent);
    const keyv = new Keyv({ store: new FulmarKeyv(parent), throwOnErrors: true, emitErrors: false });
    await expect(keyv.set("a", 1)).rejects.toMatchObject({ code: "LOCKED" });
    await holder.close();
    expect(await keyv.set("a", 1)).toBe(true);
    await keyv.disconnect();
  });
});
