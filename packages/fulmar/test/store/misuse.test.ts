import { describe, expect, test } from "vitest";
import {
  type Key,
  load,
  open,
  repair,
  restore,
  type StandardSchema,
  type Store,
  verify,
} from "../../src/index.js";
import { failureOf, transferred } from "../misuse/kinds.js";
import { temporaryDirectory } from "./fixture.js";

/** Bytes that claim to be more than they are. */
class Boasting extends Uint8Array {
  override get length(): number {
    return super.length + 90;
  }
}

const UNREADABLE: [string, () => Uint8Array][] = [
  ["transferred", transferred],
  ["of another length than they say", () => new Boasting(3)],
  ["behind a proxy", () => new Proxy(new Uint8Array(3), {})],
];

const WRITES: [string, (db: Store<Uint8Array>, value: Uint8Array) => Promise<unknown>][] = [
  ["set", (db, value) => db.set("k", value)],
  ["set with previous", (db, value) => db.set("k", value, { previous: true })],
  ["batch", (db, value) => db.batch([{ type: "set", key: "k", value }])],
  ["create", (db, value) => db.create("k", value)],
  ["compareAndSwap", (db, value) => db.compareAndSwap("k", undefined, value)],
  ["atomic", async (db, value) => db.atomic().set("k", value).commit()],
  ["transact", (db, value) => db.transact((tx) => tx.set("k", value))],
];

describe.each(UNREADABLE)("bytes that are %s", (_, bytes) => {
  test.each(WRITES)("are refused as a value by %s, and the store goes on", async (_name, write) => {
    for (const directory of [undefined, await temporaryDirectory()]) {
      await using db = await open<Uint8Array>(directory, { codec: "bytes" });
      await expect(write(db, bytes())).rejects.toMatchObject({ code: "INVALID_VALUE" });
      await expect(db.get("k")).toBeUndefined();
      await db.set("k", Uint8Array.of(7));
      expect([db.get("k"), db.status().state]).toEqual([Uint8Array.of(7), "open"]);
    }
  });

  test("are refused as a key, alone and within a tuple", async () => {
    await using db = await open<number>();
    for (const key of [bytes(), ["a", bytes()]] as Key[]) {
      expect(() => db.get(key)).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
      expect(() => db.list({ gt: key })).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
      await expect(db.set(key, 1)).rejects.toMatchObject({ code: "INVALID_KEY" });
    }
    expect(db.version).toBe(0);
  });
});

test("empty bytes are a value and a key like any other", async () => {
  await using db = await open<Uint8Array>(undefined, { codec: "bytes" });
  const empty = new Uint8Array(0);
  await db.set(empty, empty);
  await db.set(["a", Buffer.alloc(0)], Buffer.alloc(0));
  expect([db.get(empty), db.get(["a", empty])]).toEqual([empty, empty]);
});

test("whatever an option is, the error names it", async () => {
  await using db = await open<number>();
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  for (const odd of [Object.create(null), transferred(), revoked.proxy, Symbol("odd")]) {
    const misuse = [
      () => db.list({ limit: odd }),
      () => db.set("k", 1, { ttl: odd }),
      () => db.set("k", 1, { durability: odd }),
      () => db.increment("k", odd),
      () => db.batch([{ type: odd, key: "k", value: 1 }]),
      () => db.transact(() => {}, { isolation: odd }),
      () => open(undefined, { flushBytes: odd }),
      () => open(undefined, { sync: odd }),
      () => open(undefined, { eviction: odd }),
      () => open(undefined, { compression: odd }),
    ];
    for (const call of misuse) {
      expect(await failureOf(call), String(call)).toMatch(/^TypeError (INVALID_ARGUMENT|NOT_AN_INTEGER)$/);
    }
  }
});

test("a text where a number is wanted is shown as one", async () => {
  await using db = await open<number>();
  expect(() => db.list({ limit: "5" as never })).toThrow('limit must be an integer, not "5"');
  await expect(db.set("k", 1, { ttl: "5" as never })).rejects.toThrow('ttl must be an integer, not "5"');
  await expect(db.increment("k", "5" as never)).rejects.toThrow('"5" is neither a bigint nor an integer');
});

test("a path that leads to nothing, or can lead nowhere, is told from a disk that fails", async () => {
  await using db = await open<number>();
  const directory = await temporaryDirectory();
  const wanting = [
    () => verify(`${directory}/none`),
    ...[open, verify, repair].map((look) => () => look(`${directory}/a\0b`)),
    () => restore(`${directory}/a\0b`, `${directory}/restored`),
    () => db.backup(`${directory}/a\0b`),
  ];
  for (const call of wanting) expect(await failureOf(call), String(call)).toBe("FulmarError PATH_UNUSABLE");
});

test("a load whose signal came before it stores nothing, however short the dump", async () => {
  await using db = await open<number>();
  const loading = load(db, ['{"key":"k","value":1}\n'], { signal: AbortSignal.abort() });
  await expect(loading).rejects.toMatchObject({ code: "ABORTED" });
  expect(db.version).toBe(0);
});

test("what is missing is refused by a code", async () => {
  await using db = await open<number>();
  const nothing = undefined as never;
  const misuse = [
    () => db.batch(nothing),
    () => db.batch({} as never),
    () => db.getMany(nothing),
    () => db.getMany(5 as never),
    () => db.getMany("one key"),
    () => db.getMany(new Uint8Array([1, 2]) as never),
    () => db.batch("one key" as never),
    () => db.getMany(transferred() as never),
    () => db.getMany(new Proxy(new Uint8Array(3), {}) as never),
    () => db.atomic().check(nothing),
    () => db.set("k", 1, { previous: 1 as never }),
    () => db.delete("k", { previous: "yes" as never }),
    () => db.entry("k", { tombstones: 1 as never }),
    () => db.transact((tx) => tx.list({ reverse: "yes" as never })),
    () => db.transact((tx) => tx.list({ conflict: 0 as never })),
    () => db.transact((tx) => tx.get("k", { conflict: "no" as never })),
  ];
  for (const call of misuse) expect(await failureOf(call), String(call)).toBe("TypeError INVALID_ARGUMENT");
});

test("a schema that answers nonsense refuses the value", async () => {
  await using db = await open();
  let answer: unknown;
  const schema: StandardSchema = {
    "~standard": { version: 1, vendor: "test", validate: () => answer as { value: unknown } },
  };
  const odd = db.namespace("odd", { schema });
  for (answer of [undefined, null, 5])
    expect(await failureOf(() => odd.set("k", 1))).toBe("TypeError INVALID_ARGUMENT");
  const oddIssues = [
    { message: "m", path: 5 },
    { message: "m", path: [null] },
    null,
    { message: Symbol("m") },
  ];
  for (answer of [{ issues: null }, { issues: 1 }, ...oddIssues.map((issue) => ({ issues: [issue] }))])
    expect(await failureOf(() => odd.set("k", 1))).toBe("TypeError SCHEMA_MISMATCH");
  expect(odd.count()).toBe(0);
});

test("a level that there is not is refused, whatever comes of the condition", async () => {
  await using db = await open<number>();
  await db.set("k", 1);
  const options = { durability: "most" as never };
  const misuse = [
    () => db.create("k", 2, options),
    () => db.compareAndSwap("k", 5, 6, options),
    () => db.increment("k", 1, options),
    () => db.touch("none", 1000, options),
    () => db.persist("none", options),
    () => db.atomic().check({ key: "k", version: 5 }).set("k", 2).commit(options),
  ];
  for (const call of misuse) {
    expect(await failureOf(call), String(call)).toBe("TypeError INVALID_ARGUMENT");
  }
  expect(db.get("k")).toBe(1);
});
