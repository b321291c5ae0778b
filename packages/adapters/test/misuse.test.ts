import { open, type Store } from "fulmar";
import { afterEach, beforeEach, expect, test } from "vitest";
import { failureOf, isCoded, type Misuse, mistakes } from "../../fulmar/test/misuse/kinds.js";
import { FulmarLevel } from "../src/abstract-level/index.js";
import { FulmarKeyv } from "../src/keyv/index.js";
import { type FulmarDriverOptions, fulmarDriver } from "../src/unstorage/index.js";

let store: Store<Uint8Array>;
let values: Store;

beforeEach(async () => {
  store = await open<Uint8Array>(undefined, { codec: "bytes" });
  values = await open();
});

afterEach(async () => {
  expect([store.status().state, values.status().state]).toEqual(["open", "open"]);
  await store.close();
  await values.close();
});

/** Opens what an adapter may be made of by mistake, in memory or not at all. */
const notAPath = (odd: unknown): never => (typeof odd === "string" ? undefined : odd) as never;

/** Comes to the end of an iteration. */
async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

test("whatever is given to a FulmarKeyv is taken, or refused by a code", async () => {
  const keyv = new FulmarKeyv(values);
  const from = async (source: never, options?: never): Promise<void> => {
    const made = new FulmarKeyv(source, options);
    await made.get("k");
    await made.disconnect();
  };
  const calls: Misuse[] = [
    ["source", (odd) => from(notAPath(odd))],
    ["options", (odd) => from(undefined as never, odd)],
    ["get", (odd) => keyv.get(odd)],
    ["getMany", (odd) => keyv.getMany(odd)],
    ["set, key", (odd) => keyv.set(odd, 1)],
    ["set, value", (odd) => keyv.set("k", odd)],
    ["set, ttl", (odd) => keyv.set("k", 1, odd)],
    ["setMany", (odd) => keyv.setMany(odd)],
    ["setMany, one", (odd) => keyv.setMany([odd])],
    ["setMany, key", (odd) => keyv.setMany([{ key: odd, value: 1 }])],
    ["setMany, ttl", (odd) => keyv.setMany([{ key: "k", value: 1, ttl: odd }])],
    ["delete", (odd) => keyv.delete(odd)],
    ["deleteMany", (odd) => keyv.deleteMany(odd)],
    ["deleteMany, one", (odd) => keyv.deleteMany([odd])],
    ["has", (odd) => keyv.has(odd)],
    ["hasMany", (odd) => keyv.hasMany(odd)],
    ["hasMany, one", (odd) => keyv.hasMany([odd])],
    ["iterator", async (odd) => drain(keyv.iterator(odd))],
    [
      "namespace",
      (odd) => {
        const named = new FulmarKeyv(values);
        named.namespace = odd;
        return named.clear();
      },
    ],
  ];
  expect(await mistakes(calls)).toEqual([]);
});

test("whatever is given to a driver of unstorage is taken, or refused by a code", async () => {
  const driver = fulmarDriver({ store, base: "app" });
  const from = async (options: FulmarDriverOptions): Promise<void> => {
    const made = fulmarDriver(options);
    await made.setItem("k", "v", {});
    await made.dispose();
  };
  const calls: Misuse[] = [
    ["options", (odd) => from(odd)],
    ["store", (odd) => from({ store: notAPath(odd) })],
    ["open", (odd) => from({ open: odd })],
    ["base", (odd) => from({ store, base: odd })],
    ["ttl", (odd) => from({ store, ttl: odd })],
    ["hasItem", (odd) => driver.hasItem(odd, {})],
    ["getItem", (odd) => driver.getItem(odd, {})],
    ["getItems", (odd) => driver.getItems(odd, {})],
    ["getItems, one", (odd) => driver.getItems([odd], {})],
    ["getItems, key", (odd) => driver.getItems([{ key: odd }], {})],
    ["getItemRaw", (odd) => driver.getItemRaw(odd, {})],
    ["getKeys", (odd) => driver.getKeys(odd, {})],
    ["getMeta", (odd) => driver.getMeta(odd, {})],
    ["setItem, key", (odd) => driver.setItem(odd, "v", {})],
    ["setItem, value", (odd) => driver.setItem("k", odd, {})],
    ["setItem, options", (odd) => driver.setItem("k", "v", odd)],
    ["setItem, ttl", (odd) => driver.setItem("k", "v", { ttl: odd })],
    ["setItems", (odd) => driver.setItems(odd, {})],
    ["setItems, one", (odd) => driver.setItems([odd], {})],
    ["setItems, value", (odd) => driver.setItems([{ key: "k", value: odd }], {})],
    ["setItems, options", (odd) => driver.setItems([{ key: "k", value: "v" }], odd)],
    ["setItems, options of one", (odd) => driver.setItems([{ key: "k", value: "v", options: odd }], {})],
    ["setItemRaw, key", (odd) => driver.setItemRaw(odd, "v", {})],
    ["setItemRaw, value", (odd) => driver.setItemRaw("k", odd, {})],
    ["removeItem", (odd) => driver.removeItem(odd, {})],
    ["clear", (odd) => driver.clear(odd, {})],
    ["watch", async (odd) => (await driver.watch(odd))()],
  ];
  expect(await mistakes(calls)).toEqual([]);
  await driver.dispose();
});

test("whatever is given to a FulmarLevel is taken, or refused by a code or by Level itself", async () => {
  const db = new FulmarLevel(store);
  await db.open();
  const from = async (location: never, options?: never): Promise<void> => {
    const made = new FulmarLevel(location, options);
    await made.open();
    await made.close();
  };
  const calls: Misuse[] = [
    ["location", (odd) => from(notAPath(odd))],
    ["options", (odd) => from(undefined as never, odd)],
    ["store", (odd) => from(undefined as never, { store: odd } as never)],
    ["get", (odd) => db.get(odd)],
    ["get, options", (odd) => db.get("k", odd)],
    ["get, snapshot", (odd) => db.get("k", { snapshot: odd })],
    ["getSync", async (odd) => db.getSync(odd)],
    ["getMany", (odd) => db.getMany(odd)],
    ["getMany, one", (odd) => db.getMany([odd])],
    ["has", (odd) => db.has(odd)],
    ["hasMany", (odd) => db.hasMany(odd)],
    ["put, key", (odd) => db.put(odd, "v")],
    ["put, value", (odd) => db.put("k", odd)],
    ["put, options", (odd) => db.put("k", "v", odd)],
    ["put, ttl", (odd) => db.put("k", "v", { ttl: odd })],
    ["put, durability", (odd) => db.put("k", "v", { durability: odd })],
    ["del", (odd) => db.del(odd)],
    ["del, durability", (odd) => db.del("k", { durability: odd })],
    ["batch", (odd) => db.batch(odd)],
    ["batch, one", (odd) => db.batch([odd])],
    ["batch, type", (odd) => db.batch([{ type: odd, key: "k", value: "v" }])],
    ["batch, ttl", (odd) => db.batch([{ type: "put", key: "k", value: "v" }], { ttl: odd })],
    ["batch, durability", (odd) => db.batch([{ type: "del", key: "k" }], { durability: odd })],
    ["clear", (odd) => db.clear(odd)],
    ["clear, limit", (odd) => db.clear({ limit: odd, gt: "z" })],
    ["clear, bound", (odd) => db.clear({ gte: odd, lt: "a" })],
    ["clear, durability", (odd) => db.clear({ durability: odd })],
    ["iterator", async (odd) => drain(db.iterator(odd))],
    ["iterator, limit", async (odd) => drain(db.iterator({ limit: odd }))],
    ["iterator, reverse", async (odd) => drain(db.iterator({ reverse: odd }))],
    ["iterator, snapshot", async (odd) => drain(db.iterator({ snapshot: odd }))],
    ["iterator, signal", async (odd) => drain(db.iterator({ signal: odd }))],
  ];
  expect(await mistakes(calls, isRefusedByLevel)).toEqual([]);
  expect(db.status).toBe("open");
  await db.close();
});

test("what would be taken for something else is refused", async () => {
  const keyv = new FulmarKeyv(values);
  const driver = fulmarDriver({ store });
  const nothing = undefined as never;
  const refused: [() => unknown, string][] = [
    [() => new FulmarKeyv(null as never), "INVALID_ARGUMENT"],
    [() => new FulmarLevel({} as never), "INVALID_ARGUMENT"],
    [() => new FulmarLevel("text", 5 as never), "INVALID_ARGUMENT"],
    [() => fulmarDriver({ store: [] as never }), "INVALID_ARGUMENT"],
    [() => fulmarDriver({ open: 5 as never }), "INVALID_ARGUMENT"],
    [() => keyv.setMany(nothing), "INVALID_ARGUMENT"],
    [() => keyv.setMany([nothing]), "INVALID_ARGUMENT"],
    // Letter by letter.
    [() => keyv.getMany("text" as never), "INVALID_ARGUMENT"],
    [() => keyv.hasMany("text" as never), "INVALID_ARGUMENT"],
    [() => keyv.deleteMany("text" as never), "INVALID_ARGUMENT"],
    [() => keyv.set("k", 1, "1000" as never), "INVALID_ARGUMENT"],
    [() => keyv.iterator(5 as never).next(), "INVALID_ARGUMENT"],
    // As the text of it.
    [() => driver.hasItem(5 as never, {}), "INVALID_KEY"],
    [() => driver.setItem("k", nothing, {}), "INVALID_VALUE"],
    // With U+FFFD in the place of it.
    [() => driver.setItem("k", "\ud83d", {}), "INVALID_VALUE"],
    [() => driver.setItems([{ key: "k", value: "\ude00 " }], {}), "INVALID_VALUE"],
    [() => driver.setItemRaw("k", "a\ud83d", {}), "INVALID_VALUE"],
    [() => driver.setItem("k", "v", 5 as never), "INVALID_ARGUMENT"],
    [() => driver.setItem("k", "v", { ttl: "1" as never }), "INVALID_ARGUMENT"],
    [() => driver.setItemRaw("k", 5, {}), "INVALID_VALUE"],
    [() => driver.getItems([nothing], {}), "INVALID_ARGUMENT"],
    [() => driver.getKeys(5 as never, {}), "INVALID_ARGUMENT"],
    [() => driver.watch(nothing), "INVALID_ARGUMENT"],
  ];
  for (const [call, code] of refused) expect(await failureOf(call), String(call)).toBe(`TypeError ${code}`);
  expect([values.version, store.version]).toEqual([0, 0]);
  await driver.dispose();
});

test("null stands for no options, as in Level", async () => {
  const db = new FulmarLevel(undefined, null as never);
  await db.put("k", "v");
  expect(await db.get("k")).toBe("v");
  await db.close();
});

/** The place in a package that an error comes from is in Level, which has no codes for much of this. */
function isRefusedByLevel(error: unknown): boolean {
  if (isCoded(error) || !(error instanceof Error)) return isCoded(error);
  const places = (error.stack ?? "")
    .split("\n    at ")
    .filter((place) => /\/(packages|node_modules)\//.test(place));
  return /\/node_modules\/(abstract-level|level-transcoder)\//.test(places[0] ?? "");
}
